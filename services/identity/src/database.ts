import type { ColumnType } from 'kysely'

type Moment = ColumnType<Date, string, string>

/** Folded from the log: dropped and rebuilt at any time. */
type DirectoryTables = {
  users: {
    user_id: string
    name: string
    display_name: string
    kind: number
    disabled: boolean
    created_at: Moment
  }
  groups: { group_id: string; name: string; platform_role: number }
  group_members: { group_id: string; user_id: string }
  /** Tokens that are not revoked. They count only until `expires_at`, and while their user is not disabled. */
  tokens: {
    token_id: string
    user_id: string
    token_sha256: Buffer
    description: string
    issued_at: Moment
    expires_at: Moment
  }
}

/** Secrets, which never enter the log: these tables are not folded from it and survive a rebuild. */
type SecretTables = {
  credentials: { user_id: string; password_hash: string; set_at: Moment }
  /** At most one row, while set-up is open. */
  setup_tokens: { token_sha256: Buffer; user_id: string; group_id: string; made_at: Moment }
}

export type IdentityDatabase = DirectoryTables & SecretTables
