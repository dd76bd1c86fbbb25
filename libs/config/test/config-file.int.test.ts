import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseSettings } from '@postern/config'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'

const prefix = 'POSTERN_SESSION_'
const schema = z.object({
  idleSeconds: z.coerce.number().default(900),
  name: z.string().default(''),
})
let dir: string

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-config-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

async function parse(yaml: string, env: Record<string, string> = {}) {
  const file = join(dir, 'postern.yaml')
  await writeFile(file, yaml)
  return parseSettings(schema, { POSTERN_CONFIG_FILE: file, ...env }, { prefix })
}

test('the file gives what the environment does not', async () => {
  const yaml = 'POSTERN_SESSION_IDLE_SECONDS: 60\nPOSTERN_SESSION_NAME: file\nPOSTERN_AUDIT_X: 1\n'
  expect(await parse(yaml, { POSTERN_SESSION_NAME: 'env' })).toEqual({
    idleSeconds: 60,
    name: 'env',
  })
  expect(await parse('')).toEqual({ idleSeconds: 900, name: '' })
})

test.each([
  {
    name: 'an unknown name',
    yaml: 'POSTERN_SESSION_IDLE: 1',
    problem: 'POSTERN_SESSION_IDLE is not a setting',
  },
  { name: 'a list', yaml: '- a\n- b', problem: 'must be a map' },
  { name: 'a nested value', yaml: 'POSTERN_SESSION_NAME: {a: 1}', problem: 'must be a text' },
  { name: 'no YAML', yaml: '{[', problem: 'POSTERN_CONFIG_FILE cannot be read' },
  {
    name: 'an alias bomb',
    yaml: 'a: &a [x]\nPOSTERN_SESSION_NAME: *a',
    problem: 'POSTERN_CONFIG_FILE cannot be read',
  },
])('a file with $name is refused', async ({ yaml, problem }) => {
  await expect(parse(yaml)).rejects.toThrow(problem)
})

test('a file that is not there is refused by name', () => {
  const env = { POSTERN_CONFIG_FILE: join(dir, 'missing.yaml') }
  expect(() => parseSettings(schema, env, { prefix })).toThrow('missing.yaml')
})
