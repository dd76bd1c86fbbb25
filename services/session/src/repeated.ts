export type Repeated = {
  start(): void
  /** Runs again at once, or right after the run under way. */
  soon(): void
  /** Resolves when the run under way has ended; there is none after it. */
  stop(): Promise<void>
}

const RETRY_MS = 500

/** Does a piece of work every so often, and soon after being asked, never twice at once. */
export function createRepeated(needs: {
  work: () => Promise<void>
  everyMs: number
  /** Called for the first failure of a row: the next ones tell nothing new. */
  onError: (error: unknown) => void
}): Repeated {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let isAsked = false
  let isStopped = true
  let isFailing = false

  function run(): void {
    if (isStopped) return
    if (running !== undefined) {
      isAsked = true
      return
    }
    clearTimeout(timer)
    isAsked = false
    running = attempt().finally(() => {
      running = undefined
      if (!isStopped) timer = setTimeout(run, waitMs())
    })
  }

  function waitMs(): number {
    // What fails is not tried again at once, however often it is asked for.
    if (isFailing) return RETRY_MS
    return isAsked ? 0 : needs.everyMs
  }

  async function attempt(): Promise<void> {
    try {
      await needs.work()
      isFailing = false
    } catch (error) {
      if (!isFailing) needs.onError(error)
      isFailing = true
    }
  }

  return {
    start() {
      isStopped = false
      run()
    },
    soon: run,
    async stop() {
      isStopped = true
      clearTimeout(timer)
      await running
    },
  }
}
