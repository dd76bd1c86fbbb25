// `npm start`, `npm run demo` and their like: looks for what the machine must have, prepares the
// clone, then hands over to the program of that name in deploy/bootstrap, under the project's own Node.
import { requirementsOfDemo, requirementsOfStart } from './requirements.mjs'
import { environment, prepare, run, script } from './steps.mjs'

const [program, ...args] = process.argv.slice(2)

await script(async () => {
  const env = { ...environment }
  if (program === 'start') env.POSTERN_START_CLUSTER = requirementsOfStart(args)
  if (program === 'demo') requirementsOfDemo()
  await prepare()
  return await run(
    'node',
    [
      '--conditions=@postern/source',
      '--disable-warning=ExperimentalWarning',
      '--import=@postern/telemetry/preload',
      `deploy/bootstrap/src/${program}.ts`,
      ...args,
    ],
    // The program is the one that stops in order, and is waited for.
    { env, forward: ['SIGINT', 'SIGTERM'] },
  )
})
