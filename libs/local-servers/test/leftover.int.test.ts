import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { endLeftover, findNats, freePort, startNats } from '@postern/local-servers'
import { afterEach, beforeEach, expect, test } from 'vitest'

let folder: string
let child: ChildProcess | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-leftover-'))
})
afterEach(() => {
  child?.kill('SIGKILL')
  child = undefined
  rmSync(folder, { recursive: true, force: true })
})

/** A process that waits, with these words on its command line. */
async function startWaiting(words: string): Promise<ChildProcess> {
  const script = 'setInterval(() => {}, 1000); process.stdout.write("up")'
  const started = spawn(process.execPath, ['-e', script, words])
  child = started
  await once(started.stdout, 'data')
  return started
}

test('the server of a killed run is ended, and the note of it removed', async () => {
  const server = await startWaiting(join(folder, 'data'))
  const ended = once(server, 'exit')
  const pidFile = join(folder, 'server.pid')
  writeFileSync(pidFile, String(server.pid))
  await endLeftover({ pidFile, folder })
  expect(await ended).toEqual([null, 'SIGTERM'])
  expect(existsSync(pidFile)).toBe(false)
})

test.each([
  { name: 'a process of another folder that has its id now', words: '/somewhere/else' },
  { name: 'a process that names no folder', words: '' },
])('$name is left alone', async ({ words }) => {
  const other = await startWaiting(words)
  const pidFile = join(folder, 'server.pid')
  writeFileSync(pidFile, String(other.pid))
  await endLeftover({ pidFile, folder })
  expect(other.exitCode).toBeNull()
  expect(other.signalCode).toBeNull()
  expect(existsSync(pidFile)).toBe(false)
})

test.each(['', 'garbage', '0', '1', '-1', '999999999'])(
  'a note that says %j ends nobody',
  async (text) => {
    const pidFile = join(folder, 'server.pid')
    writeFileSync(pidFile, text)
    await endLeftover({ pidFile, folder })
    expect(existsSync(pidFile)).toBe(false)
  },
)

test('nats-server starts on the folder and port that a killed run still holds', async () => {
  const toolsDir = new URL('../../../.tools', import.meta.url).pathname
  const { PATH: path } = process.env // oxlint-disable-line node/no-process-env -- where programs are
  const program = await findNats({ path, toolsDir })
  const port = await freePort()
  const users = [{ user: 'postern', password: 'of-a-test-server' }]
  const former = await startNats({ dir: folder, port, users, program })
  // As after a kill -9 of the run: its children do not end with it.
  const next = await startNats({ dir: folder, port, users, program })
  try {
    expect(next.pid).not.toBe(former.pid)
    expect(() => process.kill(former.pid, 0)).toThrow('ESRCH')
  } finally {
    await next.stop('SIGKILL')
  }
})
