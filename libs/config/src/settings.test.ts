import { inspect } from 'node:util'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { Secret, secret, secretUrl } from './secret.ts'
import {
  type Environment,
  parseSettings,
  redacted,
  SettingsError,
  toSettingName,
} from './settings.ts'

const prefix = 'POSTERN_SESSION_'
const schema = z.object({
  idleSeconds: z.coerce.number().int().min(1).default(900),
  signingKey: secret().optional(),
  verbose: z.stringbool().default(false),
})
const parse = (env: Environment) => parseSettings(schema, env, { prefix })

test('a key is a setting in capitals; an absent or empty one takes its default', () => {
  expect(parse({})).toEqual({ idleSeconds: 900, verbose: false })
  const env = { POSTERN_SESSION_IDLE_SECONDS: '60', POSTERN_SESSION_VERBOSE: '', PATH: '/bin' }
  expect(parse(env)).toEqual({ idleSeconds: 60, verbose: false })
  expect(Object.isFrozen(parse(env))).toBe(true)
})

test.each([
  ['idleSeconds', 'IDLE_SECONDS'],
  ['tlsDir', 'TLS_DIR'],
  ['listen', 'LISTEN'],
  ['IDLE_SECONDS', 'IDLE_SECONDS'],
])('%s is %s', (key, name) => {
  expect(toSettingName(key)).toBe(name)
})

test('everything that is wrong is named at once, with a hint', () => {
  const env = {
    POSTERN_SESSION_IDLE_SECOND: '1',
    POSTERN_SESSION_IDLE_SECONDS: 'soon',
    POSTERN_SESSION_WINDOW: 'x',
  }
  const error = thrownBy(() => parse(env))
  expect(error.problems).toEqual([
    'POSTERN_SESSION_IDLE_SECOND is not a setting; did you mean POSTERN_SESSION_IDLE_SECONDS?',
    'POSTERN_SESSION_WINDOW is not a setting; remove it, or see the README for the names',
    'POSTERN_SESSION_IDLE_SECONDS: Invalid input: expected number, received NaN',
  ])
})

test('no unknown name under the prefix is ever let through', () => {
  const known = new Set(['IDLE_SECONDS', 'SIGNING_KEY', 'VERBOSE'])
  fc.assert(
    fc.property(fc.stringMatching(/^[A-Z_]{1,20}$/), (name) => {
      fc.pre(!known.has(name))
      expect(thrownBy(() => parse({ [prefix + name]: 'x' })).problems[0]).toContain(
        'is not a setting',
      )
    }),
  )
})

test.each([
  '',
  'changeme',
  'password',
  'secret',
  'short',
  'aaaaaaaaaaaa',
  'CHANGE-ME-please',
  'postgres',
  '<generate>',
])('the secret %j does not start', (value) => {
  const error = thrownBy(() => parse({ POSTERN_SESSION_SIGNING_KEY: value }))
  expect(error.problems.join()).toContain('POSTERN_SESSION_SIGNING_KEY')
})

test.each([
  ['postgres://session:@db/postern', false],
  ['postgres://session:postgres@db/postern', false],
  ['postgres://session@db/postern', false],
  ['mysql://session:K7fh2mNq@db/postern', false],
  ['not a url', false],
  ['postgres://session:%E0%A4%A@db/postern', false],
  ['postgres://session:K7fh2mNq@db/postern', true],
  ['postgres:///postern?host=/run/postgresql', true],
])('the database URL %j: %s', (url, ok) => {
  const urls = z.object({ databaseUrl: secretUrl(['postgres:']) })
  const attempt = () => parseSettings(urls, { POSTERN_SESSION_DATABASE_URL: url }, { prefix })
  const outcome = isThrown(attempt) ? 'refused' : attempt().databaseUrl.reveal()
  expect(outcome).toBe(ok ? url : 'refused')
})

test('a secret is printed by nothing, and revealed only on purpose', () => {
  const value = 'K7fh2mNqK7fh2mNq'
  const config = parse({ POSTERN_SESSION_SIGNING_KEY: value })
  const printed = [
    JSON.stringify(config),
    inspect(config),
    String(config.signingKey),
    JSON.stringify(redacted(config)),
  ]
  expect(printed.join()).not.toContain(value)
  expect(redacted(config)).toEqual({ idleSeconds: 900, verbose: false, signingKey: '[redacted]' })
  expect(config.signingKey).toBeInstanceOf(Secret)
  expect(config.signingKey?.reveal()).toBe(value)
})

test('a refused secret is not in the message', () => {
  const env = { POSTERN_SESSION_SIGNING_KEY: 'hunter2' }
  expect(thrownBy(() => parse(env)).message).not.toContain('hunter2')
})

function thrownBy(work: () => unknown): SettingsError {
  try {
    work()
  } catch (error) {
    if (error instanceof SettingsError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

function isThrown(work: () => unknown): boolean {
  try {
    work()
    return false
  } catch (error) {
    return error instanceof SettingsError
  }
}
