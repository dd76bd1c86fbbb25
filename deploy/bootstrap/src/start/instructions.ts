import { join } from 'node:path'
import pc from 'picocolors'
import type { JoinedCluster } from './start-cluster.ts'

/** What to type now. */
export function instructions(about: {
  dir: string
  apiUrl: string
  gatewayUrl: string
  passwordFile: string
  logFile: string
  cluster: JoinedCluster | undefined
  /** Who may do something in the cluster, and by which grant. */
  demo: { readonly user: string; readonly grant: string }
}): string {
  const { dir, cluster, demo } = about
  const postern = 'npx postern'
  const administrator = [
    `  API       ${about.apiUrl} (OpenAPI at /openapi.json)`,
    `  gateway   ${about.gatewayUrl}/clusters/<cluster>`,
    `  log       ${about.logFile}`,
    `  password  of admin: ${about.passwordFile}`,
    '',
    'As the administrator:',
    `  export POSTERN_CLI_CONFIG=${join(dir, 'cli.json')}`,
    `  ${postern} whoami`,
    `  ${postern} audit tail`,
  ]
  const end = ['', pc.dim('Ctrl-C stops everything; the data stays for the next start.')]
  if (cluster === undefined) {
    const join = `${postern} cluster create NAME && ${postern} cluster join NAME | kubectl apply -f -`
    return [...administrator, `  ${join}`, ...end].join('\n')
  }
  const kubectl = `kubectl --kubeconfig ${join(dir, 'kubeconfig')}`
  const user = [
    `  ${postern} grant delete ${demo.grant}      # cuts what runs under it`,
    '',
    `As the user "${demo.user}" (any kubectl; ${join(dir, 'kubectl')} is one):`,
    `  ${kubectl} get pods -A`,
    ...(cluster.hasPods
      ? [
          `  ${kubectl} create deployment web --image=busybox -- sleep infinity`,
          `  ${kubectl} exec -it deploy/web -- sh`,
        ]
      : [`  ${kubectl} create configmap prices --from-literal=tea=1`]),
    `  ${kubectl} auth whoami`,
  ]
  return [...administrator, ...user, ...end].join('\n')
}
