import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream'
import type { Log } from '@postern/telemetry'
import { headers, type MsgHdrs, type NatsConnection, nanos } from 'nats'
import {
  type BusMessage,
  type BusStream,
  StreamMissingError,
  type StreamSettings,
  WrongLastSequenceError,
} from './bus.ts'

const TIMEOUT_MS = 5000
const BYTES_MAX_DEFAULT = 1024 ** 3
const EPOCH = 'postern-epoch'

export function createJetStream(needs: {
  /** @throws BusUnavailableError */
  readonly available: () => NatsConnection
  readonly log: Log
}): (name: string) => BusStream {
  const manager = () =>
    jetstreamManager(needs.available(), { timeout: TIMEOUT_MS, checkAPI: false })

  function stream(name: string): BusStream {
    return {
      async ensure(settings) {
        const { streams } = await manager()
        const wanted = streamConfig(settings)
        const existing = await orMissing(streams.info(name))
        if (existing === undefined) {
          const first = settings.firstSeq === undefined ? {} : firstSequence(settings.firstSeq)
          await streams.add({ name, ...wanted, ...fixed, ...first })
          return
        }
        const { epoch } = settings
        if (epoch !== undefined && existing.config.metadata?.[EPOCH] !== epoch) {
          needs.log.warn({ stream: name, epoch }, 'a stream of another epoch is made anew')
          await streams.delete(name)
          await stream(name).ensure(settings)
          return
        }
        if (differs(existing.config, wanted)) await streams.update(name, wanted)
      },
      async lastSeq() {
        const { streams } = await manager()
        const info = await orMissing(streams.info(name))
        if (info === undefined) throw new StreamMissingError(`there is no stream ${name}`)
        return BigInt(info.state.last_seq)
      },
      async publish(messages, expectedLastSeq) {
        const [first, ...rest] = messages
        if (first === undefined) return
        const client = jetstream(needs.available(), { timeout: TIMEOUT_MS })
        const expect = { streamName: name, lastSequence: Number(expectedLastSeq) }
        const options = { headers: fieldsOf(first), expect }
        const last = rest.pop()
        try {
          if (last === undefined) {
            await client.publish(first.subject, first.data, options)
            return
          }
          const batch = await client.startBatch(first.subject, first.data, options)
          for (const one of rest) batch.add(one.subject, one.data, { headers: fieldsOf(one) })
          await batch.commit(last.subject, last.data, { headers: fieldsOf(last) })
        } catch (cause) {
          // Why a batch was not taken, and whether only its answer was lost, is seen where the stream ends.
          if (isWrongSequence(cause) || (await this.lastSeq()) !== expectedLastSeq) {
            const text = `stream ${name} does not end at ${expectedLastSeq}`
            throw new WrongLastSequenceError(text, { cause })
          }
          throw cause
        }
      },
      async delete() {
        const { streams } = await manager()
        await orMissing(streams.delete(name))
      },
    }
  }

  return stream
}

const fixed = { storage: StorageType.File, retention: RetentionPolicy.Limits }

function streamConfig({ subjects, maxAgeSeconds, maxBytes, epoch }: StreamSettings) {
  return {
    subjects: [...subjects],
    max_age: nanos(maxAgeSeconds * 1000),
    max_bytes: maxBytes ?? BYTES_MAX_DEFAULT,
    discard: DiscardPolicy.Old,
    deny_delete: true,
    deny_purge: true,
    allow_direct: true,
    allow_atomic: true,
    ...(epoch === undefined ? {} : { metadata: { [EPOCH]: epoch } }),
  }
}

function fieldsOf({ headers: named }: Pick<BusMessage, 'headers'>): MsgHdrs {
  const fields = headers()
  for (const [key, value] of Object.entries(named)) fields.set(key, value)
  return fields
}

function firstSequence(firstSeq: bigint): { first_seq: number } {
  return { first_seq: Number(firstSeq) }
}

function differs(
  existing: { subjects: string[]; max_age: number; max_bytes: number; allow_atomic?: boolean },
  wanted: { subjects: string[]; max_age: number; max_bytes: number },
): boolean {
  return (
    existing.max_age !== wanted.max_age ||
    existing.max_bytes !== wanted.max_bytes ||
    existing.allow_atomic !== true ||
    existing.subjects.join() !== wanted.subjects.join()
  )
}

async function orMissing<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) {
      return undefined
    }
    throw error
  }
}

function isWrongSequence(error: unknown): boolean {
  return (
    error instanceof JetStreamApiError &&
    (error.code === JetStreamApiCodes.StreamWrongLastSequence ||
      error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown)
  )
}
