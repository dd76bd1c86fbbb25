import { connect, createServer, type Server, type Socket } from 'node:net'
import { parseHostPort } from '@postern/lifecycle'
import type { Log } from '@postern/telemetry'
import type { SplicedService } from '@postern/tunnel'
import type { ControlServer } from '../control/control-server.ts'
import type { RelayLimits } from '../limits.ts'
import type { Pairings, Side } from '../pairing/pairing.ts'
import type { RelaySignals } from '../signals.ts'
import { type Opening, readOpening } from './first-bytes.ts'
import { createSplices } from './splices.ts'

/** The one port: tells connections apart by their first bytes and joins what belongs together. */
export type RelayPort = {
  /** Answers "host:port" as it really listens. */
  listen(address: string): Promise<string>
  /** Takes no more connections, lets splices end until the deadline, then cuts them. */
  close(deadlineMs: number): Promise<void>
}

export type RelayPortOptions = {
  readonly trustDomain: string
  readonly upstreams: Readonly<Record<SplicedService, string>>
  readonly control: ControlServer
  readonly pairings: Pairings<Socket>
  readonly limits: RelayLimits
  readonly signals: RelaySignals
  readonly log: Log
}

const EXPIRE_EVERY_MS = 500
/**
 * What a socket may hold for a reader that is slower. Well above what one read brings: with the default,
 * which is as much, a splice would stop and start again for each.
 */
const HELD_BYTES_MAX = 256 * 1024

export function createRelayPort(options: RelayPortOptions): RelayPort {
  const { trustDomain, upstreams, control, pairings, limits, signals, log } = options
  const splices = createSplices(limits.splicesMax, signals)
  const sockets = new Set<Socket>()
  let strangers = 0
  let toServices = 0
  signals.observe({ strangers: () => strangers, pairsWaiting: () => pairings.waiting })

  const how = { allowHalfOpen: true, noDelay: true, highWaterMark: HELD_BYTES_MAX }
  const server: Server = createServer(how, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    // What a socket suffers shows in its 'close'; without a listener it would end the process.
    socket.on('error', (error) => log.debug({ reason: error.message }, 'socket failed'))
    if (strangers >= limits.strangersMax) {
      signals.refused('strangers')
      socket.destroy()
      return
    }
    strangers += 1
    let known = false
    void welcome(socket, () => {
      if (!known) strangers -= 1
      known = true
    })
  })
  const expiring = setInterval(() => {
    for (const late of pairings.expire(performance.now())) late.destroy()
  }, EXPIRE_EVERY_MS)

  async function welcome(socket: Socket, onKnown: () => void): Promise<void> {
    const opening = await readOpening(socket, trustDomain, limits.firstBytesMs)
    if (opening?.to !== 'relay') onKnown()
    if (opening === undefined) {
      signals.refused('first-bytes')
      socket.destroy()
    } else {
      route(socket, opening, onKnown)
    }
  }

  function route(socket: Socket, opening: Opening, onKnown: () => void): void {
    switch (opening.to) {
      case 'relay':
        control.accept(socket, onKnown)
        return
      case 'service':
        spliceToService(socket, opening.service)
        return
      case 'pair':
        claim(socket, opening.number, 'agent')
        return
      case 'gateway-pair':
        claim(socket, opening.number, 'gateway')
        return
    }
  }

  function claim(socket: Socket, number: string, side: Side): void {
    const claimed = pairings.claim(number, side, socket, performance.now())
    switch (claimed.outcome) {
      case 'refused':
        signals.refused('number')
        socket.destroy()
        return
      case 'waiting':
        socket.once('close', () => pairings.abandon(number, socket))
        return
      case 'paired': {
        const [agent, gateway] =
          side === 'agent' ? [socket, claimed.other] : [claimed.other, socket]
        if (!splices.join('pair', agent, gateway)) refuseSplice(agent, gateway)
        return
      }
    }
  }

  function spliceToService(agent: Socket, service: SplicedService): void {
    if (toServices >= limits.serviceSplicesMax) {
      refuseSplice(agent)
      return
    }
    toServices += 1
    agent.once('close', () => {
      toServices -= 1
    })
    const address = upstreams[service]
    const upstream = connect({ ...parseHostPort(address), ...how })
    const timer = setTimeout(() => upstream.destroy(), limits.upstreamConnectMs)
    const failed = () => {
      clearTimeout(timer)
      signals.refused('upstream')
      agent.destroy()
    }
    const abandoned = () => upstream.destroy()
    sockets.add(upstream)
    upstream.on('error', (error) => log.warn({ service, reason: error.message }, 'upstream failed'))
    upstream.once('close', () => sockets.delete(upstream))
    upstream.once('close', failed)
    agent.once('close', abandoned)
    upstream.once('connect', () => {
      clearTimeout(timer)
      upstream.off('close', failed)
      agent.off('close', abandoned)
      if (!splices.join(service, agent, upstream)) refuseSplice(agent, upstream)
    })
  }

  function refuseSplice(...ends: readonly Socket[]): void {
    signals.refused('splices')
    for (const end of ends) end.destroy()
  }

  return {
    listen: (address) =>
      new Promise((resolve, reject) => {
        const { host, port } = parseHostPort(address)
        const failed = (cause: Error) => reject(new Error(`listening on ${address}`, { cause }))
        server.once('error', failed)
        server.listen(port, host, () => {
          server.off('error', failed)
          server.on('error', (error) => log.error({ err: error }, 'accepting failed'))
          const bound = server.address()
          const realPort = typeof bound === 'object' && bound !== null ? bound.port : port
          resolve(`${host.includes(':') ? `[${host}]` : host}:${realPort}`)
        })
      }),
    async close(deadlineMs) {
      clearInterval(expiring)
      server.close()
      control.close('the relay is stopping')
      await within(splices.drained(), deadlineMs)
      splices.cut()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function within(done: Promise<void>, deadlineMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs)
  })
  await Promise.race([done, deadline])
  clearTimeout(timer)
}
