import { messageOf } from '@postern/errors'
import type { Log } from '@postern/telemetry'
import type { NatsConnection, Subscription } from 'nats'
import type { Bus } from './bus.ts'

type Handler = Parameters<Bus['subscribeCore']>[1]
type Wanted = { readonly subject: string; readonly handler: Handler; live?: Subscription }

/** Subscriptions that outlive every connection. */
export function createCoreSubscriptions(log: Log) {
  const wanted = new Set<Wanted>()
  let connection: NatsConnection | undefined

  const open = (nc: NatsConnection, one: Wanted): void => {
    one.live = nc.subscribe(one.subject, {
      callback: (error, message) => {
        if (error !== null) {
          log.warn({ subject: one.subject, error: error.message }, 'a subscription was refused')
          return
        }
        try {
          const { reply } = message
          if (reply === undefined || reply === '') one.handler(message.data)
          else one.handler(message.data, (data) => void message.respond(data))
        } catch (cause) {
          log.error({ subject: one.subject, error: messageOf(cause) }, 'a bus handler failed')
        }
      },
    })
  }

  return {
    add(subject: string, handler: Handler): () => void {
      const one: Wanted = { subject, handler }
      wanted.add(one)
      if (connection !== undefined) open(connection, one)
      return () => {
        wanted.delete(one)
        one.live?.unsubscribe()
      }
    },
    /** The client itself subscribes again after a loss of its socket. */
    attach(nc: NatsConnection): void {
      if (connection === nc) return
      connection = nc
      for (const one of wanted) open(nc, one)
    },
    detach(): void {
      connection = undefined
      for (const one of wanted) delete one.live
    },
  }
}
