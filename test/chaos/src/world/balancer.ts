import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

/** Somewhere that a balancer may send connections to. */
export type Target = {
  readonly host: string
  readonly port: number
  /** "http://…/readyz" */
  readonly readiness: string
}

/** One address before several servers, as a Service of Kubernetes or a cloud's balancer is one. */
export type Balancer = {
  readonly port: number
  /** How many targets it sends new connections to now. */
  readonly ready: number
  close(): Promise<void>
}

const LOOK_EVERY_MS = 200
const LOOK_MS_MAX = 1_000

/**
 * Connections go to the targets that are ready, in turn, and to others where none of those takes them;
 * what stands stays where it is.
 */
export async function startBalancer(targets: readonly Target[]): Promise<Balancer> {
  const ready = new Set<Target>()
  const sockets = new Set<Socket>()
  let turn = 0

  const look = async (target: Target) => {
    const signal = AbortSignal.timeout(LOOK_MS_MAX)
    const isReady = await fetch(target.readiness, { signal }).then(
      ({ ok }) => ok,
      () => false,
    )
    if (isReady) ready.add(target)
    else ready.delete(target)
  }
  const looking = setInterval(() => targets.forEach((target) => void look(target)), LOOK_EVERY_MS)

  /** Nothing of the client's goes to a target before it has answered, so another may be tried. */
  function connectFirst(client: Socket, [target, ...others]: readonly Target[]): void {
    if (target === undefined || client.destroyed) {
      client.resetAndDestroy()
      return
    }
    const { host, port } = target
    const upstream = connect({ host, port, allowHalfOpen: true, noDelay: true })
    const next = () => connectFirst(client, others)
    upstream.once('error', next)
    upstream.once('connect', () => {
      upstream.off('error', next)
      if (client.destroyed) {
        upstream.destroy()
        return
      }
      join(client, upstream)
      join(upstream, client)
    })
  }

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    client.on('error', () => {})
    const first = turn++ % targets.length
    const inTurn = [...targets.slice(first), ...targets.slice(0, first)]
    const isReady = (target: Target) => Number(ready.has(target))
    connectFirst(
      client,
      inTurn.toSorted((left, right) => isReady(right) - isReady(left)),
    )
  })
  function join(from: Socket, to: Socket): void {
    sockets.add(from)
    from.on('error', () => to.resetAndDestroy())
    from.once('close', () => {
      sockets.delete(from)
      to.destroySoon()
    })
    from.pipe(to)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the balancer has no port')
  await Promise.all(targets.map(look))
  return {
    port: address.port,
    get ready() {
      return ready.size
    },
    async close() {
      clearInterval(looking)
      server.close()
      for (const socket of sockets) socket.destroy()
      await once(server, 'close')
    },
  }
}
