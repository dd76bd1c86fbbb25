// `npm run bench`: prepares the clone, then measures Postern beside its peers under the project's own Node.
import { prepare, run, script } from './steps.mjs'

await script(async () => {
  await prepare()
  return await run(
    'node',
    [
      '--conditions=@postern/source',
      '--disable-warning=ExperimentalWarning',
      'test/bench/src/bench.ts',
      ...process.argv.slice(2),
    ],
    // The program is the one that stops in order, and is waited for.
    { forward: ['SIGINT', 'SIGTERM'] },
  )
})
