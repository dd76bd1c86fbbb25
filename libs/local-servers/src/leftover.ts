import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'

const END_MS_MAX = 15_000
const LOOK_AGAIN_MS = 50

/**
 * Ends the server that a killed run left behind on this folder: it would hold the ports and the data.
 * Only a process whose command line names the folder is ended: its id may be another's by now.
 *
 * @throws Error when it does not end
 */
export async function endLeftover(options: {
  pidFile: string
  /** What its command line holds. */
  folder: string
  signal?: NodeJS.Signals
}): Promise<void> {
  const { pidFile, folder, signal = 'SIGTERM' } = options
  if (!existsSync(pidFile)) return
  const pid = Number(readFileSync(pidFile, 'utf8'))
  const isIt = () => Number.isSafeInteger(pid) && pid > 1 && commandOf(pid).includes(folder)
  if (isIt()) {
    send(pid, signal)
    if (!(await untilGone(isIt))) send(pid, 'SIGKILL')
    if (!(await untilGone(isIt))) {
      throw new Error(`process ${pid} of a former run does not end: ${commandOf(pid)}`)
    }
  }
  rmSync(pidFile, { force: true })
}

/** The command line of a process; empty when there is none of that id. */
export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    // Not there, or not Linux.
  }
  try {
    const options = ['-ww', '-o', 'args=', '-p', String(pid)]
    return execFileSync('ps', options, { encoding: 'utf8', stdio: 'pipe' }).trim()
  } catch {
    return ''
  }
}

async function untilGone(isThere: () => boolean): Promise<boolean> {
  const deadline = Date.now() + END_MS_MAX
  while (isThere()) {
    if (Date.now() > deadline) return false
    await setTimeout(LOOK_AGAIN_MS)
  }
  return true
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended by itself.
  }
}
