// `npm test`: everything that has to hold, from a fresh clone: checks and unit tests, then
// integration tests on real servers, then the end-to-end tests.
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { prepare, root, run, say, script, step } from './steps.mjs'

const reports = join(root, 'node_modules', '.postern', 'reports')

await script(async () => {
  await prepare()
  rmSync(reports, { recursive: true, force: true })
  mkdirSync(reports, { recursive: true })
  // The first build of the Kubernetes test cluster takes minutes, and nothing needs it until later.
  const cluster = run('node', [
    '--conditions=@postern/source',
    'test/fixtures/src/build-cluster.ts',
  ])
  const failed = []
  const attempt = async (name, work) => {
    try {
      await step(name, work)
    } catch (error) {
      say(error.message)
      failed.push(name)
    }
  }
  await attempt('check and unit tests', () => run('npm', ['run', '--silent', 'check']))
  await attempt('test cluster', () => cluster)
  await attempt('integration tests', () => vitest('integration'))
  await attempt('end-to-end tests', () => vitest('e2e'))
  if (failed.length > 0) say(`failed: ${failed.join(', ')}`)
  say(summary())
  return failed.length > 0 ? 1 : 0
})

function vitest(project) {
  return run('vitest', [
    'run',
    '--project',
    project,
    '--reporter=dot',
    '--reporter=json',
    `--outputFile.json=${join(reports, `${project}.json`)}`,
  ])
}

function summary() {
  let passed = 0
  let failed = 0
  for (const project of ['unit', 'integration', 'e2e']) {
    try {
      const report = JSON.parse(readFileSync(join(reports, `${project}.json`), 'utf8'))
      passed += report.numPassedTests
      failed += report.numFailedTests
    } catch {
      failed += 1
    }
  }
  return `${passed} passed, ${failed} failed`
}
