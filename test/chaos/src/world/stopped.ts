import type { ServiceProcess } from '@postern/e2e/support'

/** How a process ended after SIGTERM. */
export type Stopped = { readonly code: number | null; readonly ms: number; readonly output: string }

/** Asks it to stop, and waits until it is gone. */
export async function stopped(process: ServiceProcess): Promise<Stopped> {
  const askedAt = performance.now()
  await process.kill('SIGTERM')
  return {
    code: await process.ended,
    ms: performance.now() - askedAt,
    output: process.output(),
  }
}
