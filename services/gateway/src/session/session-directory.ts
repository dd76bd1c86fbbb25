/** A session as the gateway uses it: the right to act under one account in one cluster. */
export type GatewaySession = {
  readonly id: string
  readonly userId: string
  readonly clusterId: string
  readonly account: string
  readonly expiresAtMs: number
}

/** What the session service's log tells, as far as it matters here. */
export type SessionFact =
  | { type: 'Opened'; session: GatewaySession }
  | { type: 'AccountDesired'; sessionId: string; version: number }
  | { type: 'AccountProvisioned'; sessionId: string; version: number }
  | { type: 'Ended'; sessionId: string; reason: string }

type Known = {
  session: GatewaySession
  desired: number
  provisioned: number
  /** The version that OpenSession last waited for. */
  confirmed: number
  ended: string | undefined
}

/** Sessions are remembered a while beyond their end, so that a late answer cannot revive one. */
const REMEMBER_MS = 60 * 60_000

/** Which sessions there are, by the log of the session service, and which are ready to be used. */
export function createSessionDirectory(needs: {
  /** Opens a session or finds the open one, and waits for its account. */
  open(userId: string, clusterId: string): Promise<GatewaySession>
  now: () => Date
  /** A session ended: whatever runs under it must be cut. */
  onEnded(sessionId: string, reason: string): void
}) {
  const known = new Map<string, Known>()
  /** By cluster and user: a key of both would be put together, and looked through, for each request. */
  const current = new Map<string, Map<string, Known>>()
  const opening = new Map<string, Promise<GatewaySession>>()

  /** Unless a later one has taken its place. */
  function leave({ id, userId, clusterId }: GatewaySession): void {
    const users = current.get(clusterId)
    if (users?.get(userId)?.session.id === id) users.delete(userId)
    if (users?.size === 0) current.delete(clusterId)
  }

  function remember(session: GatewaySession): Known {
    const entry = known.get(session.id)
    if (entry !== undefined) return entry
    const fresh = { session, desired: 0, provisioned: 0, confirmed: 0, ended: undefined }
    known.set(session.id, fresh)
    return fresh
  }

  function ready(userId: string, clusterId: string, at: Date): GatewaySession | undefined {
    const entry = current.get(clusterId)?.get(userId)
    if (entry === undefined || entry.ended !== undefined) return undefined
    if (entry.session.expiresAtMs <= at.getTime()) return undefined
    // A changed right needs a changed account: OpenSession waits for it.
    if (entry.desired > Math.max(entry.provisioned, entry.confirmed)) return undefined
    return entry.session
  }

  async function open(userId: string, clusterId: string): Promise<GatewaySession> {
    // A session can end between the answer and the next line of the log: then a second try.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const session = await needs.open(userId, clusterId)
      if (session.userId !== userId || session.clusterId !== clusterId) {
        throw new Error('the session service answered with a session of someone else')
      }
      const entry = remember(session)
      if (entry.ended !== undefined) continue
      entry.confirmed = entry.desired
      const users = current.get(clusterId) ?? new Map<string, Known>()
      current.set(clusterId, users.set(userId, entry))
      return entry.session
    }
    throw new SessionRefusedError('the session ended at once', { denied: false })
  }

  return {
    /** A session that is open and whose account is ready. */
    ready,

    /** The same. Asks the session service only when it must. */
    async sessionOf(userId: string, clusterId: string): Promise<GatewaySession> {
      const found = ready(userId, clusterId, needs.now())
      if (found !== undefined) return found
      const key = keyOf(userId, clusterId)
      const running = opening.get(key)
      if (running !== undefined) return await running
      const started = open(userId, clusterId).finally(() => opening.delete(key))
      opening.set(key, started)
      return await started
    },

    /** Whether nothing may run under the session any more. */
    isOver(sessionId: string, at: Date): boolean {
      const entry = known.get(sessionId)
      if (entry === undefined) return false
      return entry.ended !== undefined || entry.session.expiresAtMs <= at.getTime()
    },

    apply(fact: SessionFact): void {
      if (fact.type === 'Opened') {
        remember(fact.session)
        return
      }
      const entry = known.get(fact.sessionId)
      if (entry === undefined) return
      switch (fact.type) {
        case 'AccountDesired':
          entry.desired = Math.max(entry.desired, fact.version)
          return
        case 'AccountProvisioned':
          entry.provisioned = Math.max(entry.provisioned, fact.version)
          return
        case 'Ended':
          if (entry.ended !== undefined) return
          entry.ended = fact.reason
          leave(entry.session)
          needs.onEnded(fact.sessionId, fact.reason)
      }
    },

    /** The log starts anew: what it does not tell again was not so. */
    reset(): void {
      known.clear()
      current.clear()
    },

    /** Forgets what is long over. */
    prune(): void {
      const before = needs.now().getTime() - REMEMBER_MS
      for (const [id, { session }] of known) {
        if (session.expiresAtMs >= before) continue
        known.delete(id)
        leave(session)
      }
    },
  }
}

/** The session service said no: for good (`denied`), or for now. */
export class SessionRefusedError extends Error {
  override readonly name = 'SessionRefusedError'
  readonly denied: boolean

  constructor(message: string, options: ErrorOptions & { denied: boolean }) {
    super(message, options)
    this.denied = options.denied
  }
}

function keyOf(userId: string, clusterId: string): string {
  return `${userId}/${clusterId}`
}
