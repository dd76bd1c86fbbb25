// `npm run conformance`: prepares the clone, then runs every conformance case under the project's own Node.
import { prepare, run, script } from './steps.mjs'

await script(async () => {
  await prepare()
  return await run('node', [
    '--conditions=@postern/source',
    '--disable-warning=ExperimentalWarning',
    'test/conformance/src/main.ts',
    ...process.argv.slice(2),
  ])
})
