import { rejections } from '@postern/errors'

const rejected = rejections({
  TOO_MANY_ATTEMPTS: [
    'resource_exhausted',
    'too many wrong passwords; wait a minute and try again',
  ],
})

/** So many at once, then one more after each interval. */
export type Allowance = { attempts: number; intervalMs: number }

export type AttemptLimits = {
  /**
   * Uses up an attempt under the name, whether or not there is such a user. A right password gives
   * it back, so only wrong ones count, also those that are tried at the same time.
   *
   * @throws Rejection TOO_MANY_ATTEMPTS
   */
  begin(name: string, now: Date): Attempt
}

type Attempt = { succeeded(): void }

const PER_NAME: Allowance = { attempts: 10, intervalMs: 30_000 }
const OVERALL: Allowance = { attempts: 100, intervalMs: 500 }
/** An attacker who wants a name forgotten needs this many wrong attempts; OVERALL makes that 80 minutes. */
const NAMES_MAX = 10_000

export function createAttemptLimits(
  perName: Allowance = PER_NAME,
  overall: Allowance = OVERALL,
): AttemptLimits {
  const everyone = createBucket(overall)
  const names = new Map<string, Bucket>()

  /** The order of the map is from the longest unused name to the latest. */
  function bucketOf(key: string): Bucket {
    const bucket = names.get(key) ?? createBucket(perName)
    names.delete(key)
    names.set(key, bucket)
    if (names.size > NAMES_MAX) {
      const [oldest] = names.keys()
      if (oldest !== undefined) names.delete(oldest)
    }
    return bucket
  }

  return {
    begin(name, now) {
      const mine = bucketOf(name.slice(0, 254).toLowerCase())
      if (!mine.take(now)) throw rejected('TOO_MANY_ATTEMPTS')
      if (!everyone.take(now)) {
        mine.giveBack()
        throw rejected('TOO_MANY_ATTEMPTS')
      }
      return {
        succeeded() {
          mine.giveBack()
          everyone.giveBack()
        },
      }
    },
  }
}

type Bucket = ReturnType<typeof createBucket>

function createBucket({ attempts, intervalMs }: Allowance) {
  let left = attempts
  let at = Number.NEGATIVE_INFINITY
  return {
    take(now: Date): boolean {
      // A clock that is set back must not take attempts away, nor give any.
      const waitedMs = Math.max(0, now.getTime() - at)
      left = Math.min(attempts, left + waitedMs / intervalMs)
      at = now.getTime()
      if (left < 1) return false
      left -= 1
      return true
    },
    giveBack() {
      left = Math.min(attempts, left + 1)
    },
  }
}
