import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { environment } from '../config.ts'
import { shippedCommandOf } from './shipped-services.ts'

/** How a container of the agent's image runs the agent that `bundleParts` put into that folder. */
export function shippedAgentCommand(
  folder: string,
  settings: Readonly<Record<string, string>>,
): string[] {
  const { env, args } = shippedCommandOf(folder, 'agent')
  const variables = {
    ...env,
    // A pod's volumes are links below the folder it starts in.
    POSTERN_AGENT_SERVICE_ACCOUNT_DIR: 'var/run/secrets/kubernetes.io/serviceaccount',
    ...settings,
  }
  const settingsOfIt = Object.entries(variables).map(([name, value]) => `${name}=${value}`)
  return ['env', ...settingsOfIt, environment.node, ...args]
}

/** The process of that agent. @throws Error when it does not run */
export function shippedAgentProcess(folder: string): number {
  const file = join(folder, 'agent/main.js')
  const found = readdirSync('/proc').find(
    (name) => /^\d+$/.test(name) && argumentsOf(name).includes(file),
  )
  if (found === undefined) throw new Error(`no process runs ${file}`)
  return Number(found)
}

function argumentsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
  } catch {
    // It ended in between.
    return []
  }
}
