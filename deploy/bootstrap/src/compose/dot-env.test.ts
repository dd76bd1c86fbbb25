import { expect, test } from 'vitest'
import { readDotEnv, setInDotEnv } from './dot-env.ts'

test('lines of somebody else stay as they are', () => {
  const own = '# mine\nCOMPOSE_PROJECT_NAME=acme\nPOSTERN_COMPOSE_DOMAIN=old\n'
  const set = setInDotEnv(own, { POSTERN_COMPOSE_DOMAIN: 'new', POSTERN_COMPOSE_SECRETS: './s' })
  expect(set).toBe(
    '# mine\nCOMPOSE_PROJECT_NAME=acme\nPOSTERN_COMPOSE_DOMAIN=new\nPOSTERN_COMPOSE_SECRETS=./s\n',
  )
})

test('setting the same again changes nothing', () => {
  const values = { A: '1', B: 'two' }
  const once = setInDotEnv('', values)
  expect(setInDotEnv(once, values)).toBe(once)
  expect(readDotEnv(once)).toEqual(values)
})

test('a comment is not a setting', () => {
  expect(readDotEnv('# A=1\n\nB=2')).toEqual({ B: '2' })
})
