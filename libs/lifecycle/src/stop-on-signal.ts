import type { Log } from '@postern/telemetry'
import closeWithGrace from 'close-with-grace'

/**
 * On SIGTERM, SIGINT, or an error that nothing caught: stops, then ends the process, with 0 after a
 * signal. A second signal, or the grace running out, ends it at once. Only main.ts calls this.
 */
export function stopOnSignal(needs: {
  readonly stop: () => Promise<void>
  readonly log: Log
  readonly graceMs: number
}): void {
  const { stop, log, graceMs } = needs
  closeWithGrace(
    {
      delay: graceMs,
      logger: false,
      // A process that ends by itself keeps its exit code.
      skip: ['beforeExit'],
      onSecondSignal: (signal) => log.warn({ signal }, 'second signal, ending at once'),
      onSecondError: (error) => log.error({ err: error }, 'second error, ending at once'),
      onTimeout: (delay) => log.error({ delay }, 'not stopped in time, ending at once'),
    },
    async ({ signal, err }) => {
      if (err === undefined) log.info({ signal }, 'stopping')
      else log.error({ err }, 'stopping after an error that nothing caught')
      await stop()
      log.info({}, 'stopped')
    },
  )
}
