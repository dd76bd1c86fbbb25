import { readdirSync, readFileSync } from 'node:fs'
import { plain, type RecordedHistory } from '@postern/eventing/testing'
import { expect, test } from 'vitest'
import { eventTypes } from './history.ts'
import { decode, fold } from './recorded-history.ts'

const dir = new URL('../../../test/replay/tunnel-broker/', import.meta.url)
const releases = readdirSync(dir).filter((name) => name.endsWith('.json'))
const read = (name: string): RecordedHistory => JSON.parse(readFileSync(new URL(name, dir), 'utf8'))

test.each(releases)(
  'the history that release %s wrote is read and folded as it was then',
  (name) => {
    const { events, states } = read(name)
    for (const recorded of events) expect(plain(decode(recorded))).toEqual(recorded.event)
    expect(fold(events)).toEqual(states)
  },
)

test('there is a sample of every type of event', () => {
  const kept = releases
    .flatMap((name) => read(name).events)
    .map(({ type }) => type.split('.').at(-1))
  expect(new Set(kept)).toEqual(new Set(eventTypes))
})
