import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ClosingStack } from '@postern/lifecycle'
import { type Child, freePort, startChild, untilReady } from '@postern/local-servers'
import { environment } from '../config.ts'
import type { ServiceName } from '../platform/environment.ts'
import { inFolder, nodeOptions, type ShippedCommand, shippedCommand } from './shipped-command.ts'

const READY_MS_MAX = 60_000
const DOCKERFILE = join(environment.root, 'deploy/images/Dockerfile')

/** Bundles as they are put into images, a folder for each part below that one. */
export function bundleParts(folder: string, parts: readonly string[]): void {
  const script = join(environment.root, 'scripts/bundle.mjs')
  execFileSync(environment.node, [script, '--out', folder, ...parts], {
    cwd: environment.root,
    stdio: 'pipe',
  })
}

/** What the image of a part sets for Node and the allocator. */
export function shippedSettings(part: string): {
  readonly options: readonly string[]
  readonly env: Readonly<Record<string, string>>
} {
  const command = commandOfImage(part)
  return { options: nodeOptions(command), env: command.env }
}

/** How the image of a part starts it, with its files in the folder that `bundleParts` filled. */
export function shippedCommandOf(folder: string, part: string): ShippedCommand {
  const command = commandOfImage(part)
  return { env: command.env, args: inFolder(command, join(folder, part)) }
}

function commandOfImage(part: string): ShippedCommand {
  return shippedCommand(readFileSync(DOCKERFILE, 'utf8'), part)
}

export type ShippedService = {
  readonly child: Child
  /** Of health and metrics: host:port. */
  readonly http: string
  readonly logFile: string
}

/** Starts a service in a process of its own, as its image does, and resolves when it is ready. */
export async function startShipped(order: {
  name: ServiceName
  folder: string
  settings: Readonly<Record<string, string>>
  /** The folder of what services say. */
  logs: string
  closing: ClosingStack
}): Promise<ShippedService> {
  const { name, folder, settings, logs, closing } = order
  const command = shippedCommandOf(folder, name)
  mkdirSync(logs, { recursive: true })
  const logFile = join(logs, `${name}.log`)
  const http = `127.0.0.1:${await freePort()}`
  const httpListen = `POSTERN_${name.replaceAll('-', '_').toUpperCase()}_HTTP_LISTEN`
  let child: Child | undefined
  // Whatever closes already starts nothing.
  closing.defer(name, () => child?.stop())
  child = startChild({
    command: environment.node,
    args: command.args,
    env: { PATH: environment.path, ...command.env, ...settings, [httpListen]: http },
    logFile,
  })
  await untilReady(name, child, READY_MS_MAX, async () => {
    const signal = AbortSignal.timeout(1000)
    const response = await fetch(`http://${http}/readyz`, { signal })
    if (!response.ok) throw new Error(await response.text())
  })
  return { child, http, logFile }
}
