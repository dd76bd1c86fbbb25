// `npm run soak`: prepares the clone, then uses Postern as it ships for a while, under the project's own Node.
import { requirementsOfDemo } from './requirements.mjs'
import { prepare, run, script } from './steps.mjs'

await script(async () => {
  requirementsOfDemo()
  await prepare()
  return await run(
    'node',
    [
      '--conditions=@postern/source',
      '--disable-warning=ExperimentalWarning',
      'test/chaos/src/soak/soak.ts',
      ...process.argv.slice(2),
    ],
    // The program is the one that stops in order, and is waited for.
    { forward: ['SIGINT', 'SIGTERM'] },
  )
})
