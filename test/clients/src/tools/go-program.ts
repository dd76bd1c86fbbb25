import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { messageOf } from '@postern/errors'
import { findProgram } from '@postern/local-servers'
import { environment } from '../config.ts'
import { MissingToolError } from '../tool.ts'

const BUILD_MS_MAX = 30 * 60_000

/**
 * Builds a program from its module, or takes it from the tools folder where it was built from the same
 * sources before. A first build takes minutes.
 *
 * @throws MissingToolError where there is no Go, or its modules cannot be had
 */
export async function buildGoProgram(options: {
  name: string
  sourceDir: string
  /** Instead of go.mod, where one source is built with several sets of modules. */
  modFile?: string
  /** What is said at link time: "k8s.io/component-base/version.gitVersion=v1.33.13". */
  variables?: readonly string[]
}): Promise<string> {
  const { name, sourceDir, modFile = 'go.mod', variables = [] } = options
  const { path, toolsDir } = environment
  const go = findProgram('go', path, ['/usr/local/go/bin'])
  if (go === undefined) throw new MissingToolError('it is built with Go (https://go.dev/dl)')
  const { stdout: goVersion } = await promisify(execFile)(go, ['env', 'GOVERSION'])
  const hash = createHash('sha256').update(goVersion).update(variables.join(' '))
  const sources = readdirSync(sourceDir).filter((file) => file.endsWith('.go'))
  for (const file of [...sources.sort(), modFile, modFile.replace(/mod$/, 'sum')]) {
    hash.update(file).update(readFileSync(join(sourceDir, file)))
  }
  const program = join(toolsDir, `${name}-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(program)) return program
  mkdirSync(toolsDir, { recursive: true })
  const building = `${program}.${process.pid}`
  const flags = ['-s', '-w', ...variables.map((variable) => `-X ${variable}`)].join(' ')
  const args = ['build', `-modfile=${modFile}`, '-ldflags', flags, '-o', building, '.']
  try {
    await promisify(execFile)(go, args, {
      cwd: sourceDir,
      timeout: BUILD_MS_MAX,
      maxBuffer: 1 << 26,
      env: { ...environment.variables, CGO_ENABLED: '0' },
    })
  } catch (error) {
    throw new MissingToolError(`it could not be built: ${messageOf(error)}`)
  }
  renameSync(building, program)
  return program
}
