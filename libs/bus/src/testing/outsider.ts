import { DeliverPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
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
  /** Calls back for each message; what it answers is sent as the reply. */
  subscribe(
    subject: string,
    onMessage: (data: Uint8Array, subject: string) => Uint8Array | undefined,
  ): Promise<void>
  /** As any publisher would: a stream that covers the subject stores it. Resolves when the server has it. */
  publish(message: Omit<BusMessage, 'seq'>): Promise<void>
  deleteStream(name: string): Promise<void>
  close(): Promise<void>
}

export async function openOutsider(url: string): Promise<Outsider> {
  const nc = await connect(connectionSettings({ url, name: 'outsider' }))
  return {
    async follow(stream, onMessage) {
      const { consumers } = jetstream(nc)
      const consumer = await consumers.get(stream, { deliver_policy: DeliverPolicy.All })
      const messages = await consumer.consume()
      void (async () => {
        for await (const { seq, subject, headers, data } of messages) {
          // How it was published says nothing of what was.
          const keys = (headers?.keys() ?? []).filter((key) => !key.startsWith('Nats-'))
          const pairs = keys.map((key) => [key, headers?.get(key) ?? ''])
          onMessage({ seq: BigInt(seq), subject, headers: Object.fromEntries(pairs), data })
        }
      })()
      return () => void messages.close()
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
    async deleteStream(name) {
      const { streams } = await jetstreamManager(nc, { checkAPI: false })
      await streams.delete(name)
    },
    close: async () => await nc.close(),
  }
}
