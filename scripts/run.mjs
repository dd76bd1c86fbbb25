// `npm start`, `npm run demo` and their like: looks for what the machine must have, prepares the
// clone, then hands over to the program of that name, under the project's own Node.
import { requirementsOfDemo, requirementsOfStart } from './requirements.mjs'
import { environment, prepare, run, script } from './steps.mjs'

const FILES = {
  start: 'deploy/bootstrap/src/start.ts',
  demo: 'deploy/bootstrap/src/demo.ts',
  service: 'deploy/bootstrap/src/service.ts',
  footprint: 'deploy/bootstrap/src/footprint.ts',
  'compose-secrets': 'deploy/bootstrap/src/compose-secrets.ts',
  bench: 'test/bench/src/bench.ts',
  compatibility: 'test/clients/src/main.ts',
  conformance: 'test/conformance/src/main.ts',
  soak: 'test/chaos/src/soak/soak.ts',
}

const [program, ...args] = process.argv.slice(2)

await script(async () => {
  const file = FILES[program]
  if (file === undefined) throw new Error(`there is no program ${program}`)
  const env = { ...environment }
  if (program === 'start') env.POSTERN_START_CLUSTER = requirementsOfStart(args)
  if (program === 'demo' || program === 'soak') requirementsOfDemo()
  await prepare()
  return await run(
    'node',
    [
      '--conditions=@postern/source',
      '--disable-warning=ExperimentalWarning',
      // Where services run in this process, they can be traced.
      ...(file.startsWith('deploy/') ? ['--import=@postern/telemetry/preload'] : []),
      file,
      ...args,
    ],
    // The program is the one that stops in order, and is waited for.
    { env, forward: ['SIGINT', 'SIGTERM'] },
  )
})
