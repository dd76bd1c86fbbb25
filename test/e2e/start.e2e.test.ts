import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createKubectl, eventually } from '@postern/bootstrap'
import { afterAll, expect, test } from 'vitest'
import { environment } from './support/config.ts'
import { type ServiceProcess, spawnProgram } from './support/service-process.ts'
import { words } from './support/words.ts'

const START_MS_MAX = 120_000
const dir = mkdtempSync(join(tmpdir(), 'postern-start-'))
const started: ServiceProcess[] = []

afterAll(async () => {
  for (const one of started) await one.kill()
  rmSync(dir, { recursive: true, force: true })
})

/** As `npm start` runs it, once the clone is prepared. */
async function start(): Promise<ServiceProcess> {
  const program = spawnProgram('deploy/bootstrap/src/start.ts', environment, {
    args: ['--dir', dir],
  })
  started.push(program)
  await eventually('Postern to run', START_MS_MAX, async () => {
    expect(program.output()).toContain('Postern runs after')
  })
  return program
}

test('npm start serves kubectl from the moment it says so, ends at Ctrl-C, and goes on where it was', async () => {
  const kubectl = createKubectl({
    program: join(dir, 'kubectl'),
    kubeconfig: join(dir, 'kubeconfig'),
    cacheDir: join(dir, 'kubectl-cache'),
  })
  const first = await start()
  await kubectl.ok(words('create configmap kept --from-literal=by=demo'))
  await first.kill('SIGINT')
  expect(await first.ended).toBe(0)

  const again = await start()
  expect(await kubectl.ok(words('get configmap kept -o jsonpath={.data.by}'))).toBe('demo')
  expect(await kubectl.ok(words('auth whoami'))).toMatch(/Username +demo/)
  await again.kill('SIGINT')
  expect(await again.ended).toBe(0)
}, 300_000)
