// What both README commands share: set-up of a fresh clone, and steps that say what they do and how
// long it took. Plain JavaScript without dependencies: it runs before anything is installed, on
// whatever Node there is.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))
const bin = join(root, 'node_modules', '.bin')
const NODE_MAJOR_MIN = 20

/** The environment of every step: the project's own Node and tools come first. */
export const environment = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH ?? ''}` }

export function say(text) {
  process.stdout.write(`${text}\n`)
}

/** Runs a command of the project and answers its exit code. Its output goes to ours, signals as told. */
export function run(command, args, { forward = [], ...options } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: root,
      env: environment,
      stdio: 'inherit',
      ...options,
    })
    for (const signal of forward) process.on(signal, () => child.kill(signal))
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : 1))
  })
}

/** Runs a step, says how long it took, and throws if it failed. */
export async function step(name, work) {
  const began = Date.now()
  say(`== ${name}`)
  const code = await work()
  const seconds = ((Date.now() - began) / 1000).toFixed(1)
  if (code !== 0 && code !== undefined) throw new StepError(`${name} failed after ${seconds} s`)
  say(`== ${name}: ${seconds} s`)
}

export class StepError extends Error {}

/** Installs and generates what a fresh clone lacks. Does nothing the second time. */
export async function prepare() {
  const major = Number(process.versions.node.split('.')[0])
  if (major < NODE_MAJOR_MIN) {
    throw new StepError(
      `Node ${NODE_MAJOR_MIN} or newer is needed, this is ${process.version}: https://nodejs.org`,
    )
  }
  await once('install packages', 'install', ['package-lock.json'], () =>
    run('npm', ['ci', '--no-audit', '--no-fund']),
  )
  await once('generate code from proto', 'generate', protoFiles(), () =>
    run('node', ['generate.mjs'], { cwd: join(root, 'proto') }),
  )
}

/** Runs the step unless it was done for the same inputs before. */
async function once(name, id, inputs, work) {
  const hash = createHash('sha256')
  for (const input of inputs) hash.update(input).update(readFileSync(join(root, input)))
  const digest = hash.digest('hex')
  const marker = join(root, 'node_modules', '.postern', id)
  if (existsSync(marker) && readFileSync(marker, 'utf8') === digest && existsSync(bin)) return
  await step(name, work)
  mkdirSync(join(root, 'node_modules', '.postern'), { recursive: true })
  writeFileSync(marker, digest)
}

function protoFiles() {
  const list = (folder) =>
    readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
      const path = join(folder, entry.name)
      if (entry.isDirectory())
        return ['src', 'dist', 'node_modules'].includes(entry.name) ? [] : list(path)
      return entry.name.endsWith('.proto') ? [path] : []
    })
  return ['buf.gen.yaml', 'proto/generate.mjs', ...list('proto').sort()]
}

/** Runs main, and turns a failure into a message and an exit code. */
export async function script(main) {
  try {
    process.exitCode = (await main()) ?? 0
  } catch (error) {
    process.stderr.write(`${error instanceof StepError ? error.message : error.stack}\n`)
    process.exitCode = 1
  }
}
