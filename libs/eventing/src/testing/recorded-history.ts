import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import type { EventCodec } from '../codec.ts'
import type { DomainEvent } from '../decider.ts'

/** A history as a release wrote it, and what that release made of it. */
export type RecordedHistory = {
  events: { stream: string; type: string; schemaVer: number; data: string; event: unknown }[]
  /** SHA-256 of each stream's state. */
  states: Record<string, string>
}

type AnyDecider = { initial: unknown; evolve(state: unknown, event: unknown): unknown }

/** Writes histories down and reads them back, with the deciders by the name that begins a stream. */
export function historyRecorder<Event extends DomainEvent>({
  codec,
  deciders,
}: {
  codec: EventCodec<Event>
  deciders: Readonly<Record<string, AnyDecider>>
}) {
  function deciderOf(stream: string): AnyDecider {
    const [aggregate = ''] = stream.split('-')
    const found = deciders[aggregate]
    if (found === undefined) throw new Error(`no aggregate folds ${stream}`)
    return found
  }

  function decode({ type, schemaVer, data }: RecordedHistory['events'][number]): Event {
    const event = codec.decode({ type, schemaVer, data: Buffer.from(data, 'base64') })
    if (event === undefined) throw new Error(`${type} is not known any more`)
    return event
  }

  /** Decodes and folds as this version does. */
  function fold(events: RecordedHistory['events']): Record<string, string> {
    const states = new Map<string, unknown>()
    for (const recorded of events) {
      const { stream } = recorded
      const decider = deciderOf(stream)
      const state = states.has(stream) ? states.get(stream) : decider.initial
      states.set(stream, decider.evolve(state, decode(recorded)))
    }
    return Object.fromEntries([...states].map(([stream, state]) => [stream, hashOf(state)]))
  }

  const record = (history: readonly { stream: string; event: Event }[]): RecordedHistory => {
    const events = history.map(({ stream, event }) => {
      const { data, ...encoded } = codec.encode(event)
      const base64 = Buffer.from(data).toString('base64')
      return { stream, ...encoded, data: base64, event: plain(event) }
    })
    return { events, states: fold(events) }
  }

  /** The same history as this version reads and folds it. */
  const replay = ({ events }: RecordedHistory): RecordedHistory => ({
    events: events.map((recorded) => ({ ...recorded, event: plain(decode(recorded)) })),
    states: fold(events),
  })

  return { record, replay }
}

/** The histories in a folder, one file a release. */
export function keptHistories(dir: URL): { release: string; history: RecordedHistory }[] {
  const files = readdirSync(dir).filter((name) => name.endsWith('.json'))
  return files.map((release) => {
    const history: RecordedHistory = JSON.parse(readFileSync(new URL(release, dir), 'utf8'))
    return { release, history }
  })
}

/** The names of all events that there is a sample of. */
export function eventTypesOf(histories: readonly { history: RecordedHistory }[]): Set<string> {
  const types = histories.flatMap(({ history }) => history.events.map(({ type }) => type))
  return new Set(types.map((type) => type.slice(type.lastIndexOf('.') + 1)))
}

/** Maps, sets and bytes as JSON has them, keys sorted. */
function plain(value: unknown): unknown {
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
