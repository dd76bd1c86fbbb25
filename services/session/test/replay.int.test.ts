import { eventTypesOf, keptHistories } from '@postern/eventing/testing'
import { expect, test } from 'vitest'
import { eventTypes } from './history.ts'
import { replay } from './recorded-history.ts'

const histories = keptHistories(new URL('../../../test/replay/session/', import.meta.url))

test.each(histories)(
  'the history that release $release wrote is read and folded as it was then',
  ({ history }) => {
    expect(replay(history)).toEqual(history)
  },
)

test('there is a sample of every type of event', () => {
  expect(eventTypesOf(histories)).toEqual(new Set(eventTypes))
})
