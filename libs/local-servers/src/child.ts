import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'

/** A server that runs as a child of this process, with its output in a file. */
export type Child = {
  readonly process: ChildProcess
  /** The last lines of its output, to show when something went wrong. */
  logTail(): string
  /** Ends it, and resolves once it is gone. Killed if the signal does not end it in time. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

const STOP_MS_MAX = 15_000
const running = new Set<ChildProcess>()
const TAIL_LINES = 15

export function startChild(options: {
  command: string
  args: readonly string[]
  logFile: string
  /** Keeps its process id there while it runs, for `endLeftover`. */
  pidFile?: string
  cwd?: string
  env?: NodeJS.ProcessEnv
  uid?: number
  gid?: number
}): Child {
  const log = openSync(options.logFile, 'a')
  const child = spawn(options.command, options.args, {
    stdio: ['ignore', log, log],
    // A group of its own: Ctrl-C reaches this process first, which then stops the servers in order.
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.uid === undefined ? {} : { uid: options.uid, gid: options.gid ?? options.uid }),
  })
  closeSync(log)
  endWithThisProcess(child)
  const { pidFile } = options
  if (pidFile !== undefined && child.pid !== undefined) {
    writeFileSync(pidFile, String(child.pid))
    child.once('exit', () => rmSync(pidFile, { force: true }))
  }
  const gone = Promise.race([once(child, 'exit'), once(child, 'error')])
  gone.catch(() => {})
  return {
    process: child,
    logTail: () => tail(options.logFile),
    async stop(signal = 'SIGTERM') {
      if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
      child.kill(signal)
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
      await gone.finally(() => clearTimeout(timer))
    },
  }
}

/** One that this process did not wait for is told to end, as at a second Ctrl-C. */
function endWithThisProcess(child: ChildProcess): void {
  if (running.size === 0) process.on('exit', endAll)
  running.add(child)
  child.once('exit', () => {
    running.delete(child)
    if (running.size === 0) process.off('exit', endAll)
  })
}

function endAll(): void {
  for (const child of running) child.kill()
}

export function tail(file: string): string {
  try {
    return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
  } catch {
    return ''
  }
}

/**
 * Tries until it succeeds. Ends early when the child is gone, and the child when time is up: the error has
 * its last words.
 */
export async function untilReady(
  name: string,
  child: Child,
  timeoutMs: number,
  attempt: () => Promise<void>,
): Promise<void> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    try {
      await attempt()
      return
    } catch (cause) {
      const { exitCode, signalCode } = child.process
      if (exitCode !== null || signalCode !== null) {
        throw new Error(
          `${name} ended at its start (${exitCode ?? signalCode}):\n${child.logTail()}`,
          {
            cause,
          },
        )
      }
      if (Date.now() > deadline) {
        await child.stop()
        throw new Error(`${name} was not ready within ${timeoutMs} ms:\n${child.logTail()}`, {
          cause,
        })
      }
      await new Promise((resolve) => setTimeout(resolve, 30))
    }
  }
}

/** A port of 127.0.0.1 that nobody listens on right now. */
export async function freePort(): Promise<number> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
