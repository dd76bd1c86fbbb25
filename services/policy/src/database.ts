import type { ColumnType } from 'kysely'
import type { GrantTerms } from './grant/grant.ts'
import type { PolicyRule } from './role/rbac-rules.ts'

/** Written as JSON text. */
type Json<T> = ColumnType<T, string, string>

/** Folded from the log: dropped and rebuilt at any time. */
export type PolicyDatabase = {
  roles: { role_id: string; name: string; description: string; rules: Json<PolicyRule[]> }
  /** Revoked grants stay, so that a repeated revocation by name succeeds; they name no role any more. */
  grants: {
    grant_id: string
    name: string
    role_id: string | null
    terms: Json<GrantTerms>
    revoked_at: ColumnType<Date | null, string | undefined, string>
  }
}
