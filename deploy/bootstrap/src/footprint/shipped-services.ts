import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Child, freePort, startChild, untilReady } from '@postern/local-servers'
import { environment } from '../config.ts'
import { inFolder, type ShippedCommand, shippedCommand } from './shipped-command.ts'

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

/** How the image of a part starts it, with its files in the folder that `bundleParts` filled. */
export function shippedCommandOf(folder: string, part: string): ShippedCommand {
  const command = shippedCommand(readFileSync(DOCKERFILE, 'utf8'), part)
  return { env: command.env, args: inFolder(command, join(folder, part)) }
}

/** Starts a service in a process of its own, as its image does, and resolves when it is ready. */
export async function startShipped(order: {
  name: string
  folder: string
  settings: Readonly<Record<string, string>>
  logFile: string
}): Promise<Child> {
  const { name, folder, settings, logFile } = order
  const command = shippedCommandOf(folder, name)
  const health = `127.0.0.1:${await freePort()}`
  const httpListen = `POSTERN_${name.replaceAll('-', '_').toUpperCase()}_HTTP_LISTEN`
  const child = startChild({
    command: environment.node,
    args: command.args,
    env: { PATH: environment.path, ...command.env, ...settings, [httpListen]: health },
    logFile,
  })
  try {
    await untilReady(name, child, READY_MS_MAX, async () => {
      const signal = AbortSignal.timeout(1000)
      const response = await fetch(`http://${health}/readyz`, { signal })
      if (!response.ok) throw new Error(await response.text())
    })
  } catch (error) {
    await child.stop()
    throw error
  }
  return child
}
