import { expect, test } from 'vitest'
import { serverProblem } from './server-version.ts'

test.each(['2.12.0', '2.12.0-RC.1', 'v2.15.2', '2.100.1', '3.0.0'])('%s is accepted', (version) => {
  expect(serverProblem({ version, jetstream: true })).toBeUndefined()
})

test.each(['2.9.10', '2.11.99', '1.99.0', '', 'garbage', '2', undefined])(
  '%s is refused with words that say what to do',
  (version) => {
    expect(
      serverProblem({ ...(version === undefined ? {} : { version }), jetstream: true }),
    ).toMatch(/needs 2\.12 or newer, upgrade it/)
  },
)

test('a server without JetStream is refused', () => {
  expect(serverProblem({ version: '2.15.2' })).toMatch(/without JetStream/)
})
