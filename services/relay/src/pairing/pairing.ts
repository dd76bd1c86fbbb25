/** The two ends of a pair. */
export type Side = 'gateway' | 'agent'

type Claim<Connection> =
  | { readonly outcome: 'paired'; readonly other: Connection }
  /** The other end has yet to come. */
  | { readonly outcome: 'waiting' }
  /** Unknown, expired or used. */
  | { readonly outcome: 'refused' }

/** Numbers that were given out, and which end of each has come. Each end can claim its number once. */
export type Pairings<Connection> = {
  /** False: too many wait. */
  offer(number: string, gatewayId: string, nowMs: number): boolean
  claim(number: string, side: Side, connection: Connection, nowMs: number): Claim<Connection>
  /** The end that waited is gone: its number is used up. */
  abandon(number: string, connection: Connection): void
  /** Forgets what is too old; answers the ends that waited in vain. */
  expire(nowMs: number): Connection[]
  readonly waiting: number
}

export type PairingLimits = {
  readonly pairsWaitingMax: number
  readonly pairsWaitingPerGatewayMax: number
  readonly pairMs: number
}

type Pair<Connection> = {
  readonly gatewayId: string
  readonly voidAtMs: number
  first?: { readonly side: Side; readonly connection: Connection }
}

export function createPairings<Connection>(limits: PairingLimits): Pairings<Connection> {
  // In the order of their offers, and so of their expiry.
  const pairs = new Map<string, Pair<Connection>>()
  const byGateway = new Map<string, number>()

  const forget = (number: string, { gatewayId }: Pair<Connection>) => {
    pairs.delete(number)
    const left = (byGateway.get(gatewayId) ?? 1) - 1
    if (left === 0) byGateway.delete(gatewayId)
    else byGateway.set(gatewayId, left)
  }

  return {
    offer(number, gatewayId, nowMs) {
      const ofGateway = byGateway.get(gatewayId) ?? 0
      if (pairs.size >= limits.pairsWaitingMax || pairs.has(number)) return false
      if (ofGateway >= limits.pairsWaitingPerGatewayMax) return false
      pairs.set(number, { gatewayId, voidAtMs: nowMs + limits.pairMs })
      byGateway.set(gatewayId, ofGateway + 1)
      return true
    },

    claim(number, side, connection, nowMs) {
      const pair = pairs.get(number)
      if (pair === undefined || nowMs >= pair.voidAtMs) return { outcome: 'refused' }
      if (pair.first === undefined) {
        pair.first = { side, connection }
        return { outcome: 'waiting' }
      }
      if (pair.first.side === side) return { outcome: 'refused' }
      forget(number, pair)
      return { outcome: 'paired', other: pair.first.connection }
    },

    abandon(number, connection) {
      const pair = pairs.get(number)
      if (pair?.first?.connection === connection) forget(number, pair)
    },

    expire(nowMs) {
      const late: Connection[] = []
      for (const [number, pair] of pairs) {
        if (nowMs < pair.voidAtMs) break
        forget(number, pair)
        if (pair.first !== undefined) late.push(pair.first.connection)
      }
      return late
    },

    get waiting() {
      return pairs.size
    },
  }
}
