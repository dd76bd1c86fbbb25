export type Repeated = {
  start(): void
  /** Runs again at once, or right after the run under way. */
  soon(): void
  /** Resolves when the run under way has ended; there is none after it. */
  stop(): Promise<void>
}

/** Does a piece of work every so often, and soon after being asked, never twice at once. */
export function createRepeated(needs: {
  work: () => Promise<void>
  everyMs: number
  onError: (error: unknown) => void
}): Repeated {
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let isAsked = false
  let isStopped = true

  function run(): void {
    if (isStopped) return
    if (running !== undefined) {
      isAsked = true
      return
    }
    clearTimeout(timer)
    running = needs
      .work()
      .catch(needs.onError)
      .finally(() => {
        running = undefined
        if (isStopped) return
        timer = setTimeout(run, isAsked ? 0 : needs.everyMs)
        isAsked = false
      })
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
