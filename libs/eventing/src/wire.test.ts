import { RecordedEvent } from '@postern/proto/postern/eventlog/v1/event_log'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { LogEvent } from './log-table.ts'
import { subjectOf } from './names.ts'
import { fromRecordedEvent, toBusMessage, toRecordedEvent } from './wire.ts'

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

test('the copy on the bus says all of an event, in the headers of CloudEvents and our own', () => {
  fc.assert(
    fc.property(logged, fc.uuid(), (event, epoch) => {
      const { headers, data } = toBusMessage('identity', epoch, event)
      expect(data).toBe(event.data)
      expect(headers).toMatchObject({
        'ce-id': event.id,
        'ce-type': event.type,
        'ce-time': event.at.toISOString(),
        pos: String(event.pos),
        epoch,
        stream: event.stream,
        ver: String(event.ver),
        schemaver: String(event.schemaVer),
        ...event.meta,
      })
    }),
  )
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
