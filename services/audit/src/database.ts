import type { Generated } from 'kysely'

// bigints are asked for as text or number where they are used, so that no driver setting matters.
type Bigint = bigint | number | string

export type AuditDatabase = {
  /** The log itself: what was hashed, in order, as compressed entry bundles of one moment each. Never changed. */
  entry_bundle: { first_idx: Bigint; entries: number; stored_at: Date | string; bundle: Buffer }
  /** Which numbers of a producer are at which places of the log. Never changed. */
  producer_run: {
    producer_id: string
    first_number: Bigint
    last_number: Bigint
    first_idx: Bigint
  }
  /** The bytes of records that were not valid; their entry carries the SHA-256. Never changed. */
  invalid_record: { idx: Bigint; body: Buffer }
  /** C2SP tiles; a row grows until its tile is full. */
  tile: { level: number; idx: Bigint; hashes: Buffer }
  /** One row: the newest checkpoint. */
  log_head: { id: Generated<number>; size: Bigint; root: Buffer; checkpoint: string }
  /** Fold of `entry_bundle`: when the records of each full block of 1,024 entries were received. */
  record_block: { block: Bigint; received_from: Date | string; received_to: Date | string }
  /** Fold of `entry_bundle`: which entries of each full block have a value; a text of as many zeros and ones. */
  record_term: { name: string; value: string; block: Bigint; positions: string }
  /** Fold of `entry_bundle`: intents whose outcome is not there yet. */
  open_intent: { idx: Bigint; producer_id: string; audit_id: string }
  /** Fold of the event log. */
  producer: { id: string; name: string; registered_at: Date | string }
  /** Fold of the event log. */
  spool_gap: { producer_id: string; first: Bigint; last: Bigint; detected_at: Date | string }
}
