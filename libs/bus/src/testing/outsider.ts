import {
  AckPolicy,
  type Consumer,
  DeliverPolicy,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream'
import { connect, headers as messageHeaders } from 'nats'
import type { BusMessage } from '../bus.ts'
import { connectionSettings } from '../connection-settings.ts'

/**
 * Somebody on the bus who is none of Postern's parts, with every right that the sign-in gives: a SIEM
 * that reads the copies, or an attacker who holds a password.
 */
export type Outsider = {
  /** What the stream holds and gets, from its first message on. Answers a function that ends it. */
  follow(stream: string, onMessage: (message: BusMessage) => void): Promise<() => void>
  /** The same from where it was the last time under this name: the server knows what was taken. */
  followOn(
    stream: string,
    name: string,
    onMessage: (message: BusMessage) => void,
  ): Promise<() => void>
  /** Calls back for each message; what it answers is sent as the reply. */
  subscribe(
    subject: string,
    onMessage: (data: Uint8Array, subject: string) => Uint8Array | undefined,
  ): Promise<void>
  /** As any publisher would: a stream that covers the subject stores it. Resolves when the server has it. */
  publish(message: Omit<BusMessage, 'seq'>): Promise<void>
  /** As an earlier version, or somebody else, would have made it. */
  addStream(name: string, subject: string): Promise<void>
  deleteStream(name: string): Promise<void>
  close(): Promise<void>
}

export async function openOutsider(url: string): Promise<Outsider> {
  const nc = await connect(connectionSettings({ url, name: 'outsider' }))

  async function consume(
    consumer: Consumer,
    onMessage: (message: BusMessage) => void,
  ): Promise<() => void> {
    const messages = await consumer.consume()
    void (async () => {
      for await (const message of messages) {
        const { seq, subject, headers, data } = message
        // How it was published says nothing of what was.
        const keys = (headers?.keys() ?? []).filter((key) => !key.startsWith('Nats-'))
        const pairs = keys.map((key) => [key, headers?.get(key) ?? ''])
        onMessage({ seq: BigInt(seq), subject, headers: Object.fromEntries(pairs), data })
        message.ack()
      }
    })()
    return () => void messages.close()
  }

  return {
    async follow(stream, onMessage) {
      const { consumers } = jetstream(nc)
      const consumer = await consumers.get(stream, { deliver_policy: DeliverPolicy.All })
      return await consume(consumer, onMessage)
    },
    async followOn(stream, name, onMessage) {
      const { consumers } = await jetstreamManager(nc, { checkAPI: false })
      await consumers.add(stream, { durable_name: name, ack_policy: AckPolicy.Explicit })
      return await consume(await jetstream(nc).consumers.get(stream, name), onMessage)
    },
    async subscribe(subject, onMessage) {
      nc.subscribe(subject, {
        callback(_error, message) {
          const answer = onMessage(message.data, message.subject)
          if (answer !== undefined) message.respond(answer)
        },
      })
      await nc.flush()
    },
    async publish({ subject, headers, data }) {
      const fields = messageHeaders()
      for (const [key, value] of Object.entries(headers)) fields.set(key, value)
      nc.publish(subject, data, { headers: fields })
      await nc.flush()
    },
    async addStream(name, subject) {
      const { streams } = await jetstreamManager(nc, { checkAPI: false })
      await streams.add({ name, subjects: [subject], allow_atomic: true })
    },
    async deleteStream(name) {
      const { streams } = await jetstreamManager(nc, { checkAPI: false })
      await streams.delete(name)
    },
    close: async () => await nc.close(),
  }
}
