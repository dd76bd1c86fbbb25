import { createHash } from 'node:crypto'
import { type SessionEvent, session } from '../src/session/session.ts'
import { sessionCodec as codec } from '../src/session/session-codec.ts'

/** A history as a release wrote it, and what that release made of it. */
export type RecordedHistory = {
  events: { stream: string; type: string; schemaVer: number; data: string; event: unknown }[]
  /** SHA-256 of each stream's state. */
  states: Record<string, string>
}

const deciders = { session }

export function record(
  history: readonly { stream: string; event: SessionEvent }[],
): RecordedHistory {
  const events = history.map(({ stream, event }) => {
    const { type, schemaVer, data } = codec.encode(event)
    return {
      stream,
      type,
      schemaVer,
      data: Buffer.from(data).toString('base64'),
      event: plain(event),
    }
  })
  return { events, states: fold(events) }
}

/** Decodes and folds as this version does. */
export function fold(events: RecordedHistory['events']): Record<string, string> {
  const states = new Map<string, unknown>()
  for (const recorded of events) {
    const { stream } = recorded
    const decider = deciderOf(stream)
    const state = states.has(stream) ? states.get(stream) : decider.initial
    states.set(stream, decider.evolve(state, decode(recorded)))
  }
  return Object.fromEntries([...states].map(([stream, state]) => [stream, hashOf(state)]))
}

export function decode({ type, schemaVer, data }: RecordedHistory['events'][number]): SessionEvent {
  const event = codec.decode({ type, schemaVer, data: Buffer.from(data, 'base64') })
  if (event === undefined) throw new Error(`${type} is not known any more`)
  return event
}

type AnyDecider = { initial: unknown; evolve(state: unknown, event: unknown): unknown }

function deciderOf(stream: string): AnyDecider {
  const [aggregate = ''] = stream.split('-')
  const found = Object.entries<AnyDecider>(deciders).find(([name]) => name === aggregate)
  if (found === undefined) throw new Error(`no aggregate folds ${stream}`)
  return found[1]
}

/** Maps, sets and bytes as JSON has them, keys sorted. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  if (value instanceof Set) return [...value].map(String).toSorted((a, b) => (a < b ? -1 : 1))
  if (value instanceof Map) return plain(Object.fromEntries(value))
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, inner]) => [key, plain(inner)] as const)
      .toSorted(([left], [right]) => (left < right ? -1 : 1)),
  )
}

function hashOf(state: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(plain(state)))
    .digest('hex')
}
