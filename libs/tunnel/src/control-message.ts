import { isPurpose, type Purpose } from './purpose.ts'
import { isPairNumber } from './server-name.ts'

/** What agents, gateways and relays say to each other on a control connection. */
export type ControlMessage =
  /** From an agent: it can be dialled here. */
  | { readonly type: 'park' }
  /** From the relay: who you are is known; an agent is parked, a gateway may ask for pairs. */
  | { readonly type: 'ready' }
  /** To an agent: open a data connection with this number. */
  | { readonly type: 'dial'; readonly number: string; readonly purpose: Purpose }
  /** From a gateway: a data connection with the cluster is wanted. */
  | {
      readonly type: 'pair'
      readonly requestId: number
      readonly clusterId: string
      readonly purpose: Purpose
    }
  | { readonly type: 'paired'; readonly requestId: number; readonly number: string }
  | { readonly type: 'refused'; readonly requestId: number; readonly reason: RefusalReason }
  | { readonly type: 'ping' }
  /** From the relay, before it closes. */
  | { readonly type: 'bye'; readonly reason: string }

export type RefusalReason = 'no-agent' | 'overloaded'

const CONTROL_MESSAGE_BYTES_MAX = 4096

/** The other side broke the protocol. */
export class ControlProtocolError extends Error {
  override readonly name = 'ControlProtocolError'
}

export function encodeControlMessage(message: ControlMessage): Buffer {
  const json = Buffer.from(JSON.stringify(message))
  if (json.length > CONTROL_MESSAGE_BYTES_MAX) throw new RangeError('control message too long')
  const bytes = Buffer.allocUnsafe(4 + json.length)
  bytes.writeUInt32BE(json.length)
  json.copy(bytes, 4)
  return bytes
}

/** Cuts a byte stream into messages. Holds at most one. */
export function createControlDecoder(): {
  /** @throws ControlProtocolError; the decoder is of no use after that */
  push(chunk: Buffer): ControlMessage[]
} {
  let waiting = Buffer.alloc(0)
  return {
    push(chunk) {
      const input = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk])
      const messages: ControlMessage[] = []
      let at = 0
      while (input.length - at >= 4) {
        const length = input.readUInt32BE(at)
        if (length > CONTROL_MESSAGE_BYTES_MAX) {
          throw new ControlProtocolError('a control message is too long')
        }
        if (input.length - at - 4 < length) break
        messages.push(parseControlMessage(input.subarray(at + 4, at + 4 + length)))
        at += 4 + length
      }
      waiting = Buffer.from(input.subarray(at))
      return messages
    },
  }
}

/** @throws ControlProtocolError */
export function parseControlMessage(json: Buffer): ControlMessage {
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
  } catch (error) {
    throw new ControlProtocolError('a control message is not JSON', { cause: error })
  }
  const message = isRecord(value) ? toMessage(value) : undefined
  if (message === undefined || !isRecord(value) || !sameKeys(message, value)) {
    throw new ControlProtocolError('a control message is malformed')
  }
  return message
}

function toMessage(value: Readonly<Record<string, unknown>>): ControlMessage | undefined {
  const { type, number, purpose, requestId, clusterId, reason } = value
  switch (type) {
    case 'park':
    case 'ready':
    case 'ping':
      return { type }
    case 'dial':
      return isNumber(number) && isPurpose(purpose) ? { type, number, purpose } : undefined
    case 'pair':
      return isRequestId(requestId) && isClusterId(clusterId) && isPurpose(purpose)
        ? { type, requestId, clusterId, purpose }
        : undefined
    case 'paired':
      return isRequestId(requestId) && isNumber(number) ? { type, requestId, number } : undefined
    case 'refused':
      return isRequestId(requestId) && (reason === 'no-agent' || reason === 'overloaded')
        ? { type, requestId, reason }
        : undefined
    case 'bye':
      return typeof reason === 'string' && reason.length <= 256 ? { type, reason } : undefined
    default:
      return undefined
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const isNumber = (value: unknown): value is string =>
  typeof value === 'string' && isPairNumber(value)

const isRequestId = (value: unknown): value is number => Number.isSafeInteger(value)

const CLUSTER_ID = /^[A-Za-z0-9._-]{1,128}$/
const isClusterId = (value: unknown): value is string =>
  typeof value === 'string' && CLUSTER_ID.test(value)

const sameKeys = (a: object, b: object): boolean =>
  Object.keys(a).length === Object.keys(b).length && Object.keys(a).every((key) => key in b)
