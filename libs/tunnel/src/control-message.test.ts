import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type ControlMessage,
  ControlProtocolError,
  createControlDecoder,
  encodeControlMessage,
  parseControlMessage,
} from './control-message.ts'

const number = '0123456789abcdef0123456789abcdef'
const messages: ControlMessage[] = [
  { type: 'park' },
  { type: 'ready' },
  { type: 'ping' },
  { type: 'dial', number, purpose: 'mux' },
  { type: 'pair', requestId: 1, clusterId: 'c-1', purpose: 'upgrade' },
  { type: 'paired', requestId: 1, number },
  { type: 'refused', requestId: 2, reason: 'no-agent' },
  { type: 'bye', reason: 'restart' },
]

test('messages come through however the bytes are cut', () => {
  const bytes = Buffer.concat(messages.map(encodeControlMessage))
  fc.assert(
    fc.property(fc.array(fc.nat({ max: bytes.length })), (cuts) => {
      const at = cuts.toSorted((a, b) => a - b)
      const pieces = [0, ...at].map((start, index) => bytes.subarray(start, at[index]))
      const decoder = createControlDecoder()
      expect(pieces.flatMap((piece) => decoder.push(piece))).toEqual(messages)
    }),
  )
})

test.each([
  '',
  'null',
  '[]',
  '"park"',
  '{}',
  '{"type":"park","clusterId":"another"}',
  '{"type":"unknown"}',
  '{"type":"dial","number":"short","purpose":"mux"}',
  `{"type":"dial","number":"${number.toUpperCase()}","purpose":"mux"}`,
  `{"type":"dial","number":"${number}","purpose":"shell"}`,
  `{"type":"dial","number":"${number}"}`,
  '{"type":"pair","requestId":1,"clusterId":"../x","purpose":"mux"}',
  '{"type":"pair","requestId":"1","clusterId":"c","purpose":"mux"}',
  '{"type":"pair","requestId":1,"clusterId":["c"],"purpose":"mux"}',
  '{"type":"refused","requestId":1,"reason":"because"}',
  '{"type":"ping","__proto__":{}}',
])('%s is malformed', (json) => {
  expect(() => parseControlMessage(Buffer.from(json))).toThrow(ControlProtocolError)
})

test('a message of more than 4 KiB is refused before it has come', () => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(4097)
  expect(() => createControlDecoder().push(length)).toThrow(ControlProtocolError)
})

test('random bytes are messages or a protocol error', () => {
  const outcome = (bytes: Uint8Array): unknown => {
    try {
      return createControlDecoder().push(Buffer.from(bytes))
    } catch (error) {
      return error instanceof ControlProtocolError ? [] : error
    }
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.json(), (bytes, json) => {
      expect(outcome(bytes)).toBeInstanceOf(Array)
      const text = Buffer.from(json)
      const framed = Buffer.concat([Buffer.from([0, 0, text.length >> 8, text.length & 255]), text])
      expect(outcome(framed)).toBeInstanceOf(Array)
    }),
  )
})
