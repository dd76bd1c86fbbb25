import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findGo } from './find-program.ts'

const BUILD_MS_MAX = 30 * 60_000

/**
 * Builds a program from its module, or takes it from the tools folder where it was built from the same
 * sources before. A first build may take minutes.
 *
 * @throws Error where there is no Go, or its modules cannot be had
 */
export async function buildGoProgram(options: {
  name: string
  sourceDir: string
  toolsDir: string
  path: string | undefined
  /** Instead of go.mod, where one source is built with several sets of modules. */
  modFile?: string
  /** What is said at link time: "k8s.io/component-base/version.gitVersion=v1.33.13". */
  variables?: readonly string[]
}): Promise<{ file: string; goVersion: string }> {
  const { name, sourceDir, toolsDir, path, modFile = 'go.mod', variables = [] } = options
  const go = findGo(path)
  if (go === undefined) throw new Error(`${name} is built with Go (https://go.dev/dl)`)
  const { stdout } = await promisify(execFile)(go, ['env', 'GOVERSION'])
  const hash = createHash('sha256').update(stdout).update(variables.join(' '))
  const sources = readdirSync(sourceDir).filter((file) => file.endsWith('.go'))
  for (const file of [...sources.sort(), modFile, modFile.replace(/mod$/, 'sum')]) {
    hash.update(file).update(readFileSync(join(sourceDir, file)))
  }
  const built = {
    file: join(toolsDir, `${name}-${hash.digest('hex').slice(0, 16)}`),
    goVersion: stdout.trim(),
  }
  if (existsSync(built.file)) return built
  mkdirSync(toolsDir, { recursive: true })
  const building = `${built.file}.${process.pid}`
  const flags = ['-s', '-w', ...variables.map((variable) => `-X ${variable}`)].join(' ')
  const args = ['build', '-trimpath', `-modfile=${modFile}`, '-ldflags', flags, '-o', building, '.']
  try {
    await promisify(execFile)(go, args, {
      cwd: sourceDir,
      timeout: BUILD_MS_MAX,
      maxBuffer: 1 << 26,
      // oxlint-disable-next-line node/no-process-env -- Go needs HOME and its own settings
      env: { ...process.env, CGO_ENABLED: '0' },
    })
  } catch (cause) {
    // It ends with what Go said.
    const why = cause instanceof Error ? cause.message : ''
    throw new Error(`${name} could not be built: ${why}`, { cause })
  }
  renameSync(building, built.file)
  return built
}
