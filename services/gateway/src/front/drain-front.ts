import { setTimeout as wait } from 'node:timers/promises'
import type { LiveRequests } from '../streams/live-requests.ts'
import type { Front } from './front-interface.ts'

const STOPPING = 'this gateway is stopping'

/**
 * How a gateway stops, once it says that it is not ready: it serves on until every balancer has seen
 * that; then clients are told to go elsewhere and watches end, to be resumed there; requests end by
 * themselves; and what still runs near the end of the time is told why it is cut.
 */
export async function drainFront(needs: {
  readonly front: Front
  readonly live: LiveRequests
  readonly noticeMs: number
  readonly drainMs: number
}): Promise<void> {
  const { front, live, noticeMs, drainMs } = needs
  if (front.connections > 0) await wait(noticeMs)
  live.concludeAll(`Postern ended this watch between two events: ${STOPPING}.`)
  const farewell = setTimeout(() => {
    live.cutAll(`Postern ended this stream: ${STOPPING}. Connect again.`)
  }, drainMs * FAREWELL_AT)
  await front.close(drainMs)
  clearTimeout(farewell)
}

/** The rest is for the farewells to be read. */
const FAREWELL_AT = 0.8
