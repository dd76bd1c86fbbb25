import { connect, type TLSSocket } from 'node:tls'
import { messageOf } from '@postern/errors'
import type { TlsIdentity } from '@postern/pki'
import type { Log } from '@postern/telemetry'
import { parseAddress } from './address.ts'
import { backoffMs } from './backoff.ts'
import { type ControlConnection, createControlConnection } from './control-connection.ts'
import type { ControlMessage } from './control-message.ts'
import { checkServerIs, secureContextOf } from './peer.ts'
import { relayServerName } from './server-name.ts'

/** The control connection to one relay, made again whenever it is lost. */
export type RelayLink = {
  readonly address: string
  /** Ready: the relay knows who we are. */
  readonly ready: boolean
  /** Whether it was sent. */
  send(message: ControlMessage): boolean
  close(): void
}

export type RelayLinkOptions = {
  readonly address: string
  readonly identity: TlsIdentity
  readonly trustDomain: string
  readonly log: Log
  /** What to say first. */
  readonly greeting?: ControlMessage
  onMessage(message: ControlMessage): void
  /** Became ready, or is so no more. */
  onChange(): void
}

/** For connection, handshake and the relay's first word. */
const READY_MS = 5000
/** A connection that lasted this long was a good one: the next failure is the first. */
const GOOD_MS = 10_000
/** After a renewal, so that an agent does not leave all its relays at once. */
const RENEWAL_SPREAD_MS = 5000

export function createRelayLink(options: RelayLinkOptions): RelayLink {
  const { address, identity, log } = options
  let current: ControlConnection | undefined
  const opening = new Set<() => void>()
  const timers = new Set<NodeJS.Timeout>()
  let failures = 0
  let closed = false

  const later = (ms: number, task: () => void) => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      task()
    }, ms)
    timer.unref()
    timers.add(timer)
    return timer
  }

  /** Opens a connection; once it is ready it takes the place of the current one. */
  function open(): void {
    if (closed) return
    const openedAt = performance.now()
    let socket: TLSSocket
    try {
      socket = dial(options)
    } catch (error) {
      lost(openedAt, messageOf(error))
      return
    }
    let ready = false
    const connection = createControlConnection({
      socket,
      onMessage(message) {
        if (message.type !== 'ready') {
          options.onMessage(message)
        } else if (!ready) {
          ready = true
          opened()
          const previous = current
          current = connection
          previous?.close()
          log.info({ relay: address }, 'connected to relay')
          options.onChange()
        }
      },
      onClose(reason) {
        opened()
        if (current !== connection && ready) return
        current = current === connection ? undefined : current
        if (ready) options.onChange()
        lost(openedAt, reason)
      },
    })
    const timer = later(READY_MS, () => {
      connection.close()
      socket.destroy()
    })
    const abandon = () => {
      connection.close()
      socket.destroy()
    }
    const opened = () => {
      opening.delete(abandon)
      clearTimeout(timer)
      timers.delete(timer)
    }
    opening.add(abandon)
    socket.once('secureConnect', () => {
      if (options.greeting !== undefined) connection.send(options.greeting)
    })
  }

  function lost(openedAt: number, reason: string): void {
    if (closed) return
    failures = performance.now() - openedAt > GOOD_MS ? 0 : failures + 1
    log.warn({ relay: address, reason, failures }, 'no connection to relay')
    // After a failed renewal the old connection still stands, with the old certificate.
    later(backoffMs(failures, Math.random()), open)
  }

  const endRenewals = identity.onRenewed(() => later(Math.random() * RENEWAL_SPREAD_MS, open))
  open()

  return {
    address,
    get ready() {
      return current !== undefined
    },
    send: (message) => current?.send(message) ?? false,
    close() {
      closed = true
      endRenewals()
      for (const timer of timers) clearTimeout(timer)
      for (const abandon of opening) abandon()
      current?.close()
    },
  }
}

function dial({ address, identity, trustDomain }: RelayLinkOptions): TLSSocket {
  return connect({
    ...parseAddress(address),
    servername: relayServerName(trustDomain),
    secureContext: secureContextOf(identity.current()),
    checkServerIdentity: checkServerIs('relay', trustDomain),
  }).setNoDelay(true)
}
