import type { EventLog } from '@postern/eventing'
import { createDatabase } from '@postern/fixtures'
import { afterEach, beforeEach, expect, inject, test, vi } from 'vitest'
import { actor, group, type LedgerDatabase, type LedgerEvent, openLedger } from './ledger.ts'

type Ledger = EventLog<LedgerDatabase, LedgerEvent>

let url: string
let ledger: Ledger
const closing: (() => Promise<void>)[] = []

beforeEach(async () => {
  url = await createDatabase(inject('postgresUrl'))
  ledger = await open()
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function open(): Promise<Ledger> {
  const opened = await openLedger(url)
  closing.push(async () => await opened.stop())
  return opened
}

const until = async (condition: () => boolean) =>
  await vi.waitFor(() => expect(condition()).toBe(true), { timeout: 15_000, interval: 10 })

async function create(...groupIds: string[]): Promise<void> {
  for (const groupId of groupIds) {
    const command = { type: 'Create' as const, groupId, name: groupId }
    await ledger.store.execute({ stream: `group-${groupId}`, decider: group, command, actor })
  }
}

test('every event is handled in order, with a key of its own, also those from before', async () => {
  const keys: string[] = []
  await create('a', 'b')
  const manager = ledger.processManager({
    name: 'mailer',
    handle: async (_recorded, { key }) => void keys.push(key),
  })
  await ledger.start()
  await create('c')
  await until(() => keys.length === 3)
  expect(keys).toEqual(['ledger:mailer:1', 'ledger:mailer:2', 'ledger:mailer:3'])
  expect(manager.position()).toBe(3n)
})

test('a failing effect is tried again with the same key, and what follows waits for it', async () => {
  const tried: string[] = []
  const manager = ledger.processManager({
    name: 'mailer',
    handle: async ({ pos }, { key }) => {
      tried.push(key)
      if (pos === 2n && tried.length < 4) throw new Error('the mail server is away')
    },
  })
  await ledger.start()
  await create('a', 'b', 'c')
  await until(() => manager.problem()?.includes('the mail server is away') === true)
  await until(() => manager.position() === 3n)
  expect(tried.map((key) => key.at(-1))).toEqual(['1', '2', '2', '2', '3'])
  expect(manager.problem()).toBeUndefined()
})

test('one process handles at a time; the next goes on where the first was', async () => {
  const handled: string[] = []
  const second = await open()
  for (const [name, one] of Object.entries({ first: ledger, second })) {
    one.processManager({
      name: 'mailer',
      handle: async ({ pos }) => void handled.push(`${name}:${pos}`),
    })
  }
  await ledger.start()
  await create('a', 'b')
  await until(() => handled.length === 2)
  await second.start()
  await create('c')
  await until(() => handled.length === 3)
  await ledger.stop()
  closing.splice(0, 1)
  ledger = second
  await create('d')
  await until(() => handled.length === 4)
  expect(handled).toEqual(['first:1', 'first:2', 'first:3', 'second:4'])
})

test('with effects off nothing is handled, nor forgotten', async () => {
  const handled: bigint[] = []
  const handle = async ({ pos }: { pos: bigint }) => void handled.push(pos)
  ledger.processManager({ name: 'mailer', handle, effectsOff: true })
  await ledger.start()
  await create('a')
  await ledger.rebuild()
  expect(handled).toEqual([])
  const second = await open()
  second.processManager({ name: 'mailer', handle })
  await second.start()
  await until(() => handled.length === 1)
})

test('a rebuild handles nothing again', async () => {
  const handled: bigint[] = []
  ledger.processManager({
    name: 'mailer',
    handle: async ({ pos }) => void handled.push(pos),
  })
  await ledger.start()
  await create('a', 'b')
  await until(() => handled.length === 2)
  expect(await ledger.rebuild()).toMatchObject({ equal: true })
  await create('c')
  await until(() => handled.length === 3)
  expect(handled).toEqual([1n, 2n, 3n])
})
