import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createCommand } from '@postern/bootstrap'
import { messageOf } from '@postern/errors'
import { findProgram } from '@postern/local-servers'
import { environment } from '../config.ts'
import { MissingToolError, type Tool } from '../tool.ts'
import type { ClientWay } from '../ways.ts'

const SOURCE_DIR = join(environment.clientsDir, 'python')
const REQUIREMENTS = join(SOURCE_DIR, 'requirements.txt')
const INSTALL_MS_MAX = 10 * 60_000

const EXERCISES = {
  objects: 'create, list, replace, delete',
  errors: 'what is not there is an ApiException',
  watch: 'watch',
  exec: 'exec, all output at once',
  'exec-exit-code': 'exec with an exit code',
  'exec-stdin': 'exec with stdin',
  'exec-resize': 'exec with a terminal that is resized',
  logs: 'logs',
  'port-forward': 'port-forward',
} as const

let installing: Promise<string> | undefined
const python = () => {
  installing ??= install()
  return installing
}

/** The official Python client. */
export const pythonClient: Tool = {
  id: 'python',
  name: 'kubernetes (Python)',
  version: /^kubernetes==(.+)$/m.exec(readFileSync(REQUIREMENTS, 'utf8'))?.[1] ?? '',
  pods: true,
  prepare: async () => void (await python()),
  exercises: Object.entries(EXERCISES).map(([id, title]) => ({
    title,
    async play(way) {
      const { [id]: result } = await playAll(way)
      if (result?.said === undefined) throw new Error(result?.failed ?? 'it was not played')
      return result.said
    },
  })),
}

type Played = Readonly<Record<string, { readonly said?: string; readonly failed?: string }>>
const playing = new Map<string, Promise<Played>>()

/** All of them in one process: Python takes seconds to load the client. */
function playAll(way: ClientWay): Promise<Played> {
  const { namespace } = way
  const running = playing.get(namespace) ?? runScript(way)
  playing.set(namespace, running)
  return running
}

async function runScript({ kubeconfig, namespace }: ClientWay): Promise<Played> {
  const { variables: env } = environment
  const args = [join(SOURCE_DIR, 'exercise.py')]
  const command = createCommand({ name: 'python', program: await python(), args, env })
  return JSON.parse(await command.ok([kubeconfig, namespace]))
}

/** A Python with the client, in a folder of its own below the tools. @throws MissingToolError */
async function install(): Promise<string> {
  const python3 = findProgram('python3', environment.path)
  if (python3 === undefined) throw new MissingToolError('it needs python3, with venv and pip')
  const run = async (program: string, args: readonly string[]) =>
    await promisify(execFile)(program, args, { timeout: INSTALL_MS_MAX, maxBuffer: 1 << 26 })
  const { stdout: version } = await run(python3, ['--version'])
  const hash = createHash('sha256').update(version).update(readFileSync(REQUIREMENTS))
  const dir = join(environment.toolsDir, `python-${hash.digest('hex').slice(0, 16)}`)
  const installed = join(dir, 'bin', 'python3')
  if (existsSync(installed)) return installed
  const making = `${dir}.${process.pid}`
  try {
    await run(python3, ['-m', 'venv', making])
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check']
    await run(join(making, 'bin', 'python3'), [...pip, '-r', REQUIREMENTS])
  } catch (error) {
    throw new MissingToolError(`it could not be installed with venv and pip: ${messageOf(error)}`)
  }
  renameSync(making, dir)
  return installed
}
