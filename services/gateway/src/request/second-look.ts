/** Requests that wait at a time. */
const WAITING_MAX = 256

export type SecondLook = {
  /** Resolves when to look again; `undefined` where too many wait already. */
  wait(): Promise<unknown> | undefined
}

/**
 * A token that is not known here may have been made a moment ago. A request that comes with one is looked at
 * again once all that was committed before it came is known. Anybody can send such requests: only so many wait.
 */
export function createSecondLook(confirmed: () => Promise<boolean>): SecondLook {
  let waiting = 0
  return {
    wait() {
      if (waiting >= WAITING_MAX) return undefined
      waiting += 1
      return confirmed().finally(() => {
        waiting -= 1
      })
    },
  }
}
