// Bundles each service for its image: dist/images/<service>/{main,telemetry}.js with everything they
// import, so that an image needs no package manager and no sources, and starts from a few files.
//
//   node scripts/bundle.mjs [--out DIR] [program ...]
import {
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const { values, positionals } = parseArgs({
  options: { out: { type: 'string', default: join(root, 'dist', 'images') } },
  allowPositionals: true,
})
const out = resolve(values.out)

/** Loaded from node_modules at run time: it is machine code. */
const NATIVE = '@node-rs/argon2'

/** Asked for by a library when they are there; they never are. */
const ABSENT = ['pg-native', 'bufferutil', 'utf-8-validate']

/** Messages about settings are in English: zod's other languages stay out. */
const englishOnly = {
  name: 'english-only',
  setup(bundler) {
    bundler.onResolve({ filter: /\/locales\/index\.js$/ }, ({ importer }) =>
      importer.includes('/node_modules/zod/')
        ? { path: join(root, 'node_modules/zod/v4/locales/en.js') }
        : undefined,
    )
  },
}

const services = globSync('services/*/src/main.ts', { cwd: root })
  .map((file) => basename(dirname(dirname(file))))
  .filter((name) => name !== 'cli')

/** What is run beside the services: jobs of deploy/bootstrap. */
const jobs = { databases: 'deploy/bootstrap/src/compose-databases.ts' }

const programs = [...services, ...Object.keys(jobs)]
const wanted = positionals.length > 0 ? positionals : programs
for (const name of wanted) {
  if (!programs.includes(name)) {
    process.stderr.write(`no program "${name}"; there are: ${programs.join(', ')}\n`)
    process.exit(2)
  }
}
for (const name of wanted) {
  const folder = join(out, name)
  rmSync(folder, { recursive: true, force: true })
  const bytes = await bundle(name, folder)
  process.stdout.write(`${name}: ${Math.round(bytes / 1024)} KiB\n`)
}

async function bundle(name, folder) {
  const source = jobs[name] ?? `services/${name}/src/main.ts`
  const own = `services/${name}/src/telemetry.ts`
  const telemetry = existsSync(join(root, own)) ? own : 'libs/telemetry/src/preload.ts'
  const result = await build({
    absWorkingDir: root,
    entryPoints: [
      { in: source, out: 'main' },
      { in: telemetry, out: 'telemetry' },
    ],
    outdir: folder,
    bundle: true,
    // What is imported when it is needed (OpenTelemetry's SDK) stays a file that nobody loads else.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node24',
    conditions: ['@postern/source'],
    external: [NATIVE, ...ABSENT],
    banner: {
      js: "import { createRequire as createRequireOfBundle } from 'node:module'; const require = createRequireOfBundle(import.meta.url);",
    },
    // A stack trace in a log must name functions as the source does, so names stay: esbuild's
    // keepNames would set the name of every function that is made, and they are made for each request.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'external',
    metafile: true,
    plugins: [englishOnly],
    logLevel: 'warning',
  })
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify({ type: 'module' })}\n`)
  for (const file of Object.keys(result.metafile.outputs)) onlyAscii(join(root, file))
  const outputs = Object.values(result.metafile.outputs)
  const isNative = outputs.some(({ imports }) => imports.some(({ path }) => path === NATIVE))
  if (isNative) copyNative(folder)
  return outputs.reduce((sum, one) => sum + one.bytes, 0)
}

/**
 * Escapes the few characters that esbuild leaves as they are, those in regular expressions: with one of
 * them V8 keeps the whole source as UTF-16, megabytes more in every process.
 */
function onlyAscii(file) {
  if (!file.endsWith('.js')) return
  const source = readFileSync(file, 'utf8')
  const escaped = source.replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  if (escaped !== source) writeFileSync(file, escaped)
}

/** The package and the builds of it that this machine's platform got. */
function copyNative(folder) {
  const { optionalDependencies } = JSON.parse(
    readFileSync(join(root, 'node_modules', NATIVE, 'package.json'), 'utf8'),
  )
  const installed = Object.keys(optionalDependencies).filter((name) =>
    existsSync(join(root, 'node_modules', name)),
  )
  if (installed.length === 0) throw new Error(`no build of ${NATIVE} is installed`)
  for (const name of [NATIVE, ...installed]) {
    const to = join(folder, 'node_modules', name)
    mkdirSync(dirname(to), { recursive: true })
    cpSync(join(root, 'node_modules', name), to, { recursive: true, dereference: true })
  }
}
