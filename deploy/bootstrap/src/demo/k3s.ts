import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { promisify } from 'node:util'
import { messageOf } from '@postern/errors'

const IMAGE = 'rancher/k3s:v1.34.1-k3s1'
const PULL_MS_MAX = 10 * 60_000
const COMMAND_MS_MAX = 60_000
const READY_MS_MAX = 120_000
const LOOK_AGAIN_MS = 500

export type K3s = { readonly kubeconfig: string; stop(): Promise<void> }

/**
 * A cluster in one container, kept between runs. Its port is published on loopback alone. What it asks
 * of Docker is tested, a container was never run: no engine was at hand.
 */
export async function startK3s(options: {
  dir: string
  fresh: boolean
  /** Docker's own, and where it is. */
  env: NodeJS.ProcessEnv
}): Promise<K3s> {
  const { dir, fresh, env } = options
  const docker = dockerWith(env)
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const name = containerOf(dir)
  if (fresh) await docker(['rm', '--force', '--volumes', name]).catch(() => {})
  const isThere = (await docker(['ps', '--all', '--quiet', '--filter', `name=^${name}$`])) !== ''
  if (isThere) await docker(['start', name])
  else await docker(runArguments(name), PULL_MS_MAX)
  const kubeconfig = join(dir, 'k3s.kubeconfig')
  const text = await untilReady(docker, name)
  // The port is another at each start.
  const published = (await docker(['port', name, '6443/tcp'])).split('\n')[0] ?? ''
  const server = `https://127.0.0.1:${published.slice(published.lastIndexOf(':') + 1)}`
  writeFileSync(kubeconfig, text.replace(/https:\/\/127\.0\.0\.1:\d+/, server), { mode: 0o600 })
  return {
    kubeconfig,
    async stop() {
      await docker(['stop', name])
    },
  }
}

function runArguments(name: string): string[] {
  const container = ['--name', name, '--detach', '--privileged']
  const memory = ['--tmpfs', '/run', '--tmpfs', '/var/run']
  const ports = ['--publish', '127.0.0.1::6443']
  const server = ['server', '--disable=traefik,servicelb,metrics-server', '--tls-san=127.0.0.1']
  return ['run', ...container, ...memory, ...ports, IMAGE, ...server]
}

/** Answers the kubeconfig that k3s writes, once its API server answers. */
async function untilReady(docker: Docker, name: string): Promise<string> {
  const deadline = Date.now() + READY_MS_MAX
  for (;;) {
    try {
      await docker(['exec', name, 'kubectl', 'get', '--raw', '/readyz'])
      return await docker(['exec', name, 'cat', '/etc/rancher/k3s/k3s.yaml'])
    } catch (cause) {
      if (Date.now() > deadline) {
        const logs = await docker(['logs', '--tail', '20', name]).catch(messageOf)
        throw new Error(`k3s was not ready within ${READY_MS_MAX / 1000} s:\n${logs}`, { cause })
      }
      await setTimeout(LOOK_AGAIN_MS)
    }
  }
}

/** One container for each data folder. */
function containerOf(dir: string): string {
  return `postern-demo-${createHash('sha256').update(dir).digest('hex').slice(0, 12)}`
}

type Docker = (args: readonly string[], timeoutMs?: number) => Promise<string>

function dockerWith(env: NodeJS.ProcessEnv): Docker {
  return async (args, timeout = COMMAND_MS_MAX) => {
    const { stdout } = await promisify(execFile)('docker', [...args], { env, timeout })
    return stdout.trim()
  }
}
