// `npm start`, `npm run demo` and their like: prepares the clone, then hands over to the program of
// that name in deploy/bootstrap, under the project's own Node.
import { prepare, run, script } from './steps.mjs'

const [program, ...args] = process.argv.slice(2)

await script(async () => {
  await prepare()
  // Ctrl-C reaches the program too, and it is the one that stops in order.
  process.on('SIGINT', () => {})
  process.on('SIGTERM', () => {})
  return await run('node', [
    '--conditions=@postern/source',
    '--disable-warning=ExperimentalWarning',
    '--import=@postern/telemetry/preload',
    `deploy/bootstrap/src/${program}.ts`,
    ...args,
  ])
})
