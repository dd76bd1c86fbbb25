// `npm run compatibility`: prepares the clone, then plays what clients do, directly and through Postern, under the
// project's own Node.
import { prepare, run, script } from './steps.mjs'

await script(async () => {
  await prepare()
  return await run('node', [
    '--conditions=@postern/source',
    '--disable-warning=ExperimentalWarning',
    'test/clients/src/main.ts',
    ...process.argv.slice(2),
  ])
})
