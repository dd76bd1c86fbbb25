import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cli, createCli } from './run-cli.ts'

const run = promisify(execFile)
const hasBash = await run('bash', ['--version']).then(
  () => true,
  () => false,
)

let cli: Cli
let script: string

beforeAll(async () => {
  cli = createCli({ url: 'https://nowhere.invalid', ca: '' })
  script = join(cli.home, 'completion.bash')
  writeFileSync(script, (await cli.run(['completion', 'bash'])).stdout)
})

afterAll(() => {
  cli.remove()
})

/** What bash would offer after this line. */
async function offered(line: string): Promise<string[]> {
  const words = line.split(' ')
  const asking = `source ${script}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _postern; printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout } = await run('bash', ['--norc', '-c', asking])
  return stdout.split('\n').filter((word) => word !== '')
}

test.runIf(hasBash)('bash takes the script', async () => {
  await expect(run('bash', ['-n', script])).resolves.toMatchObject({ stderr: '' })
  const zsh = join(cli.home, 'completion.zsh')
  writeFileSync(zsh, (await cli.run(['completion', 'zsh'])).stdout)
  await expect(run('bash', ['-n', zsh])).resolves.toMatchObject({ stderr: '' })
})

test.runIf(hasBash).each([
  { line: 'postern clu', wanted: ['cluster'] },
  { line: 'postern cluster jo', wanted: ['join'] },
  { line: 'postern -o json cluster jo', wanted: ['join'] },
  { line: 'postern cluster join prod --he', wanted: ['--help'] },
  { line: 'postern grant create devs --subject group:list --ro', wanted: ['--role'] },
  { line: 'postern session en', wanted: [] },
  { line: 'postern nothing clu', wanted: ['cluster'] },
])('after "$line" it offers $wanted', async ({ line, wanted }) => {
  expect(await offered(line)).toEqual(wanted)
})

test('fish is told of every command', async () => {
  const { stdout } = await cli.run(['completion', 'fish'])
  expect(stdout).toContain("-n '__fish_seen_subcommand_from cluster'")
  expect(
    stdout.split('\n').every((line) => line === '' || line.startsWith('complete -c postern')),
  ).toBe(true)
})
