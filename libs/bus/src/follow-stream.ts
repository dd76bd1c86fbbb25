import { DeliverPolicy, type JsMsg, jetstream } from '@nats-io/jetstream'
import { messageOf } from '@postern/errors'
import type { BusMessage } from './bus.ts'
import type { JetStreamNeeds } from './jet-stream-needs.ts'
import { pause } from './pause.ts'

const IDLE_HEARTBEAT_MS = 2000
const EXPIRES_MS = 10_000
const BATCH = 500
const RETRY_MS = 500
const RETRY_MS_MAX = 5000

type Following = JetStreamNeeds & {
  readonly name: string
  readonly afterSeq: bigint
  readonly onMessage: (message: BusMessage) => void
  readonly signal: AbortSignal
}

/**
 * An ordered pull consumer that is made anew whenever anything happens to it: a lost connection, missed
 * heartbeats, a deleted consumer or stream. Resolves when the signal aborts; never rejects.
 */
export async function followStream(following: Following): Promise<void> {
  const { signal, log, name } = following
  const progress = { last: following.afterSeq }
  let retryMs = RETRY_MS
  while (!signal.aborted) {
    const before = progress.last
    try {
      await consumeOnce(following, progress)
    } catch (error) {
      log.debug({ stream: name, error: messageOf(error) }, 'following a stream was interrupted')
    }
    retryMs = progress.last > before ? RETRY_MS : Math.min(retryMs * 2, RETRY_MS_MAX)
    if (!signal.aborted) await untilConnectedOr(retryMs, following)
  }
}

async function consumeOnce(following: Following, progress: { last: bigint }): Promise<void> {
  const { available, name, onMessage, onConnect, signal } = following
  const { consumers } = jetstream(available())
  const consumer = await consumers.get(name, {
    deliver_policy: DeliverPolicy.StartSequence,
    opt_start_seq: Number(progress.last) + 1,
  })
  const messages = await consumer.consume({
    max_messages: BATCH,
    expires: EXPIRES_MS,
    idle_heartbeat: IDLE_HEARTBEAT_MS,
    abort_on_missing_resource: true,
  })
  const end = (): void => void messages.close()
  const forget = onConnect(end)
  signal.addEventListener('abort', end)
  void (async () => {
    for await (const status of messages.status()) {
      // The consumer's own recovery is given one chance: after two misses it is made anew.
      if (status.type === 'heartbeats_missed' && status.count >= 2) end()
      if (status.type === 'stream_not_found' || status.type === 'consumer_deleted') end()
    }
  })().catch(() => {})
  try {
    if (signal.aborted) return
    for await (const message of messages) {
      if (signal.aborted) return
      const received = toBusMessage(message)
      if (received.seq <= progress.last) continue
      progress.last = received.seq
      onMessage(received)
    }
  } finally {
    forget()
    signal.removeEventListener('abort', end)
    end()
  }
}

function toBusMessage(message: JsMsg): BusMessage {
  const headers: Record<string, string> = {}
  for (const key of message.headers?.keys() ?? []) headers[key] = message.headers?.get(key) ?? ''
  return { seq: BigInt(message.seq), subject: message.subject, headers, data: message.data }
}

async function untilConnectedOr(ms: number, { onConnect, signal }: Following): Promise<void> {
  const waiting = new AbortController()
  const forget = onConnect(() => waiting.abort())
  try {
    await pause(ms, AbortSignal.any([signal, waiting.signal]))
  } finally {
    forget()
  }
}
