import { setTimeout } from 'node:timers/promises'
import pg from 'pg'
import { VersionConflictError } from './event-store.ts'

const ATTEMPTS_MAX = 8
const PAUSE_MS = 5
const SERIALIZATION_FAILURE = '40001'
const DEADLOCK_DETECTED = '40P01'

/** Tries again, with jitter, when another writer came first. Attempts are counted from 1. */
export async function retryOnConflict<T>(attempt: (tried: number) => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried += 1) {
    try {
      return await attempt(tried)
    } catch (error) {
      if (!isConflict(error) || tried === ATTEMPTS_MAX) throw error
      await setTimeout(Math.random() * PAUSE_MS * 2 ** tried)
    }
  }
}

function isConflict(error: unknown): boolean {
  if (error instanceof VersionConflictError) return true
  if (!(error instanceof pg.DatabaseError)) return false
  return error.code === SERIALIZATION_FAILURE || error.code === DEADLOCK_DETECTED
}
