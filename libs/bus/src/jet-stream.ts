import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
  jetstreamManager,
  PersistMode,
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
        const isOther = epoch !== undefined && existing.config.metadata?.[EPOCH] !== epoch
        // That cannot be changed where there is a stream.
        const isKeptOtherwise = existing.config.persist_mode !== fixed.persist_mode
        if (isOther || isKeptOtherwise) {
          const why = isOther ? 'of another epoch' : 'that is kept in another way'
          needs.log.warn({ stream: name, epoch }, `a stream ${why} is made anew`)
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
        const asked: Promise<unknown>[] = []
        try {
          for (const [at, { subject, data, headers: own }] of messages.entries()) {
            const headers = toHeaders({
              ...(at === 0 ? { [PubHeaders.ExpectedStreamHdr]: name } : {}),
              [PubHeaders.ExpectedLastSeqHdr]: String(expectedLastSeq + BigInt(at)),
              ...own,
            })
            // Each is taken only behind the one before it: the first and the last speak for all.
            const isAsked = at === 0 || at === messages.length - 1
            if (isAsked) asked.push(client.publish(subject, data, { headers }))
            else connection.publish(subject, data, { headers })
          }
          await Promise.all(asked)
        } catch (cause) {
          // Their own failures say nothing more.
          for (const each of asked) each.catch(() => {})
          // Why they were not taken, and whether only the answer was lost, is seen where the stream ends.
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

/** A copy need not outlive a crash of its server: what is lost then is filled again. It costs half as much. */
const fixed = {
  storage: StorageType.File,
  retention: RetentionPolicy.Limits,
  persist_mode: PersistMode.Async,
}

function streamConfig({ subjects, maxAgeSeconds, maxBytes, epoch }: StreamSettings) {
  return {
    subjects: [...subjects],
    max_age: nanos(maxAgeSeconds * 1000),
    max_bytes: maxBytes ?? BYTES_MAX_DEFAULT,
    discard: DiscardPolicy.Old,
    deny_delete: true,
    deny_purge: true,
    allow_direct: true,
    ...(epoch === undefined ? {} : { metadata: { [EPOCH]: epoch } }),
  }
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

function toHeaders(fields: Readonly<Record<string, string>>): MsgHdrs {
  let text = 'NATS/1.0\r\n'
  for (const name in fields) {
    const value = fields[name] ?? ''
    if (/[\r\n]/.test(value)) throw new Error(`the header ${name} of a message ends its line`)
    text += `${name}: ${value}\r\n`
  }
  return new WrittenHeaders(`${text}\r\n`)
}

function firstSequence(firstSeq: bigint): { first_seq: number } {
  return { first_seq: Number(firstSeq) }
}

function differs(
  existing: { subjects: string[]; max_age: number; max_bytes: number },
  wanted: { subjects: string[]; max_age: number; max_bytes: number },
): boolean {
  return (
    existing.max_age !== wanted.max_age ||
    existing.max_bytes !== wanted.max_bytes ||
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
