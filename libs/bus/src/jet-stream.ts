import { randomUUID } from 'node:crypto'
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  PubHeaders,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream'
import type { Log } from '@postern/telemetry'
import { type MsgHdrs, MsgHdrsImpl, type NatsConnection, nanos } from 'nats'
import {
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
          const added = await streams.add({ name, ...wanted, ...fixed, ...first })
          return BigInt(added.state.last_seq)
        }
        const { epoch } = settings
        if (epoch !== undefined && existing.config.metadata?.[EPOCH] !== epoch) {
          needs.log.warn({ stream: name, epoch }, 'a stream of another epoch is made anew')
          await streams.delete(name)
          return await stream(name).ensure(settings)
        }
        if (differs(existing.config, wanted)) await streams.update(name, wanted)
        return BigInt(existing.state.last_seq)
      },
      async lastSeq() {
        const { streams } = await manager()
        const info = await orMissing(streams.info(name))
        if (info === undefined) throw new StreamMissingError(`there is no stream ${name}`)
        return BigInt(info.state.last_seq)
      },
      async publish(messages, expectedLastSeq) {
        const connection = needs.available()
        const client = jetstream(connection, { timeout: TIMEOUT_MS })
        const fieldsAt = placeFields(name, expectedLastSeq, messages.length)
        try {
          for (const [at, { subject, data, headers: own }] of messages.entries()) {
            const headers = toHeaders(own, fieldsAt(at))
            if (at < messages.length - 1) connection.publish(subject, data, { headers })
            else await client.publish(subject, data, { headers })
          }
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

type Fields = Readonly<Record<string, string>>

/** What a message says about its place: behind which the first goes, and in which atomic batch several are. */
function placeFields(stream: string, lastSeq: bigint, count: number): (at: number) => Fields {
  const batchId = randomUUID()
  const first: Fields = {
    [PubHeaders.ExpectedStreamHdr]: stream,
    [PubHeaders.ExpectedLastSeqHdr]: String(lastSeq),
  }
  return (at) => ({
    ...(at === 0 ? first : {}),
    ...(count === 1 ? {} : { 'Nats-Batch-Id': batchId, 'Nats-Batch-Sequence': String(at + 1) }),
    ...(count > 1 && at === count - 1 ? { 'Nats-Batch-Commit': '1' } : {}),
  })
}

/** Written as they are: to have the client set them and read them back costs more than all the rest of a message. */
class WrittenHeaders extends MsgHdrsImpl {
  readonly #text: string

  constructor(text: string) {
    super()
    this.#text = text
  }

  override encode(): Uint8Array {
    return Buffer.from(this.#text)
  }
}

function toHeaders(...all: readonly Fields[]): MsgHdrs {
  let text = 'NATS/1.0\r\n'
  for (const fields of all) {
    for (const name in fields) {
      const value = fields[name] ?? ''
      if (/[\r\n]/.test(value)) throw new Error(`the header ${name} of a message ends its line`)
      text += `${name}: ${value}\r\n`
    }
  }
  return new WrittenHeaders(`${text}\r\n`)
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
