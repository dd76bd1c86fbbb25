import { createMemoryLog } from '@postern/telemetry/testing'
import { expect, test } from 'vitest'
import { createClosingStack } from './closing-stack.ts'
import { parseHostPort } from './health-server.ts'
import { startInOrder } from './start-in-order.ts'

test('what was opened last is closed first, once, also when a step fails', async () => {
  const log = createMemoryLog()
  const closed: string[] = []
  const stack = createClosingStack({ log })
  stack.defer('first', () => closed.push('first'))
  stack.defer('broken', async () => await Promise.reject(new Error('stuck')))
  stack.defer('last', () => closed.push('last'))
  await Promise.all([stack.close(), stack.close()])
  await stack.close()
  expect(closed).toEqual(['last', 'first'])
  expect(log.records.map(({ message, fields }) => [message, Object(fields).step])).toEqual([
    ['closing failed', 'broken'],
  ])
})

test('a step that hangs is left behind at its deadline', async () => {
  const log = createMemoryLog()
  const closed: string[] = []
  const stack = createClosingStack({ log, stepMsMax: 20 })
  stack.defer('first', () => closed.push('first'))
  stack.defer('hanging', async () => await new Promise(() => undefined))
  await stack.close()
  expect(closed).toEqual(['first'])
  expect(log.records).toHaveLength(1)
})

test('nothing can be opened while everything closes', async () => {
  const stack = createClosingStack({ log: createMemoryLog() })
  await stack.close()
  expect(() => stack.defer('late', () => undefined)).toThrow('late was opened')
})

test('leaving its block closes the stack', async () => {
  const closed: string[] = []
  {
    await using stack = createClosingStack({ log: createMemoryLog() })
    stack.defer('it', () => closed.push('it'))
  }
  expect(closed).toEqual(['it'])
})

test('when one does not start, those before it are stopped in reverse', async () => {
  const seen: string[] = []
  const step = (name: string, fails = false) => ({
    name,
    start: async () => {
      if (fails) throw new Error('no')
      seen.push(`start ${name}`)
    },
    stop: async () => void seen.push(`stop ${name}`),
  })
  const starting = startInOrder(
    [step('a'), step('b'), step('c', true), step('d')],
    createMemoryLog(),
  )
  await expect(starting).rejects.toThrow('starting c')
  expect(seen).toEqual(['start a', 'start b', 'stop b', 'stop a'])
})

test.each([
  ['127.0.0.1:80', { host: '127.0.0.1', port: 80 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['[::1]:65535', { host: '::1', port: 65_535 }],
])('%s is an address', (text, parsed) => {
  expect(parseHostPort(text)).toEqual(parsed)
})

test.each(['', ':80', 'a', 'a:', 'a:65536', '::1:80', '[::1]', 'a:80:90', 'a:-1'])(
  '%j is no address',
  (text) => {
    expect(() => parseHostPort(text)).toThrow('not a "host:port"')
  },
)
