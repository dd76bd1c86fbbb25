import { RecordedEvent } from '@postern/proto/postern/eventlog/v1/event_log'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogEvent } from './log-table.ts'
import { subjectOf } from './names.ts'
import {
  decodeHint,
  encodeHint,
  fromBusMessage,
  fromRecordedEvent,
  toBusMessage,
  toRecordedEvent,
} from './wire.ts'

const text = fc.stringMatching(/^[\x20-\x7e]{1,40}$/)
const logged: fc.Arbitrary<LogEvent> = fc.record({
  pos: fc.bigInt({ min: 1n, max: 2n ** 53n - 1n }),
  id: fc.uuid(),
  stream: fc.uuid().map((id) => `group-${id}`),
  ver: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  type: fc.constant('postern.identity.events.v1.GroupCreated'),
  schemaVer: fc.integer({ min: 1, max: 9 }),
  meta: fc.record(
    { actor: text, cause: text, traceparent: text },
    { requiredKeys: ['actor', 'cause'] },
  ),
  data: fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
  at: fc.date({ min: new Date(0), max: new Date('2100-01-01'), noInvalidDate: true }),
})

test('an event is the same after gRPC', () => {
  fc.assert(
    fc.property(logged, (event) => {
      const bytes = RecordedEvent.encode(toRecordedEvent(event)).finish()
      expect(fromRecordedEvent(RecordedEvent.decode(bytes))).toEqual(event)
    }),
  )
})

test('an event is the same after the bus', () => {
  fc.assert(
    fc.property(logged, fc.uuid(), (event, epoch) => {
      const message = { ...toBusMessage('identity', epoch, event), seq: event.pos }
      expect(fromBusMessage(message)).toEqual({ epoch, event })
    }),
  )
})

test('a message whose place in the stream is not its position is not an event', () => {
  fc.assert(
    fc.property(logged, (event) => {
      const message = { ...toBusMessage('identity', 'e', event), seq: event.pos + 1n }
      expect(fromBusMessage(message)).toBeUndefined()
    }),
  )
})

test('any bytes and headers are read or refused, never thrown at the reader', () => {
  const names = fc.constantFrom(
    'ce-id',
    'ce-type',
    'ce-time',
    'stream',
    'epoch',
    'pos',
    'ver',
    'schemaver',
  )
  fc.assert(
    fc.property(fc.dictionary(names, fc.string()), fc.uint8Array(), (headers, data) => {
      expect(() => fromBusMessage({ seq: 1n, subject: 's', headers, data })).not.toThrow()
      expect(() => decodeHint(data)).not.toThrow()
    }),
  )
})

test.each([
  '',
  '{}',
  'null',
  '[1]',
  '{"epoch":"e","pos":5}',
  '{"epoch":"e","pos":"-1"}',
  '{"epoch":1,"pos":"1"}',
])('%j is not a hint', (hint) => {
  expect(decodeHint(Buffer.from(hint))).toBeUndefined()
})

test('a hint comes back as it was', () => {
  const hint = { epoch: 'e1', pos: 2n ** 60n }
  expect(decodeHint(encodeHint(hint))).toEqual(hint)
})

test.each([
  [
    'group-0190163d-8694-739b-aea5-966c26f8ad91',
    'group.Changed.0190163d-8694-739b-aea5-966c26f8ad91',
  ],
  [
    'join-token-0190163d-8694-739b-aea5-966c26f8ad91',
    'join-token.Changed.0190163d-8694-739b-aea5-966c26f8ad91',
  ],
  ['session-a-b', 'session.Changed.a-b'],
  ['user-jane.doe', 'user.Changed.jane_doe'],
])('the events of %s go to …%s', (stream, rest) => {
  expect(subjectOf('policy', stream, 'postern.policy.events.v1.Changed')).toBe(
    `postern.evt.policy.${rest}`,
  )
})
