import type { ColumnType, Generated } from 'kysely'

/** Where a session is in its life. `opening` until its account was made for the first time. */
type SessionState = 'opening' | 'active' | 'ending' | 'ended'

export type SessionDatabase = {
  sessions: {
    session_id: string
    user_id: string
    user_name: string
    cluster_id: string
    account: string
    state: SessionState
    /** The version of the account that is wanted, and its bindings. */
    version: number
    bindings: ColumnType<unknown, string, string>
    provisioned: number
    problem: string
    opened_at: string
    expires_at: string
    end_reason: number
    /** Position of the session's last event: a watcher reads what changed after it. */
    pos: bigint
  }
  /** A fact that gateways report, not a projection. */
  activity: {
    session_id: string
    last_active_at: Generated<Date>
    open_streams: number
  }
}
