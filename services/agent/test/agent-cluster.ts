import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startCluster } from '@postern/fixtures'

const MANIFEST = new URL('../../../deploy/agent/manifest.yaml', import.meta.url)
const TIERS = ['postern-view', 'postern-edit']

/** What the tiers allow here; tunnel-broker appends the real ones to the manifest. */
const TIER_ROLES = `
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: postern-view}
rules:
  - {apiGroups: [""], resources: [pods, configmaps, namespaces, pods/log], verbs: [get, list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: postern-edit}
rules:
  - {apiGroups: [""], resources: [pods, configmaps, namespaces, pods/log], verbs: [get, list, watch]}
  - {apiGroups: [""], resources: [pods, configmaps], verbs: [create, update, patch, delete]}
  - {apiGroups: [""], resources: [pods/exec, pods/portforward, pods/attach], verbs: [get, create]}
`

export type AgentCluster = Awaited<ReturnType<typeof startAgentCluster>>

/** A real cluster into which the agent's own manifest was applied, without its Deployment. */
export async function startAgentCluster(
  options: { images?: Readonly<Record<string, readonly string[]>> } = {},
) {
  const cluster = await startCluster(options)
  const dir = await mkdtemp(join(tmpdir(), 'agent-sa-'))

  async function kubectl(args: readonly string[], stdin = ''): Promise<string> {
    const running = promisify(execFile)(cluster.kubectl, [...args], {
      env: { KUBECONFIG: cluster.kubeconfig, HOME: dir },
      timeout: 30_000,
      maxBuffer: 1 << 24,
    })
    running.child.stdin?.end(stdin)
    return (await running).stdout
  }

  /** Fills the template as tunnel-broker does. */
  async function manifest(values: Readonly<Record<string, unknown>>): Promise<string> {
    const template = await readFile(MANIFEST, 'utf8')
    const filled = template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) =>
      JSON.stringify(values[name] ?? ''),
    )
    return filled + TIER_ROLES
  }

  async function apply(text: string): Promise<void> {
    await kubectl(['apply', '-f', '-'], text)
  }

  const documents = (await manifest({ tierNames: TIERS, joinToken: 'pjt_unused' })).split('\n---\n')
  await apply(documents.filter((text) => !text.includes('kind: Deployment')).join('\n---\n'))

  const token = (await kubectl(['create', 'token', 'postern-agent', '-n', 'postern-system'])).trim()
  await Promise.all([
    writeFile(join(dir, 'token'), token),
    writeFile(join(dir, 'ca.crt'), await readFile(cluster.ca)),
    writeFile(join(dir, 'namespace'), 'postern-system'),
  ])
  return {
    kubectl,
    apply,
    manifest,
    tiers: TIERS,
    kubernetes: new URL(cluster.server).host,
    serviceAccountDir: dir,
    auditLog: cluster.auditLog,
    async stop() {
      await cluster.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}
