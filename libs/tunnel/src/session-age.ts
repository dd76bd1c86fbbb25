import type { TLSSocket } from 'node:tls'
import type { MuxSession } from '@postern/mux'

const DRAIN_MS = 10 * 60_000
const TIMER_MS_MAX = 2 ** 31 - 1

/** A session does not outlive the certificate it was opened with: it drains before, and is cut then. */
export function limitAge(session: MuxSession, certifiedUntil: Date, now: Date): void {
  const leftMs = Math.max(0, certifiedUntil.getTime() - now.getTime())
  const timers = [
    setTimeout(
      () => session.goAway('its certificate is about to expire'),
      Math.min(Math.max(leftMs / 2, leftMs - DRAIN_MS), TIMER_MS_MAX),
    ),
    setTimeout(() => session.close('its certificate has expired'), Math.min(leftMs, TIMER_MS_MAX)),
  ]
  for (const timer of timers) timer.unref()
  void session.closed.then(() => timers.forEach(clearTimeout))
}

/** Nor does an upgrade, which cannot drain: whoever is in it opens another. */
export function limitUpgradeAge(socket: TLSSocket, certifiedUntil: Date, now: Date): void {
  const leftMs = Math.max(0, certifiedUntil.getTime() - now.getTime())
  const expire = () => socket.destroy(new Error('the certificate of the other side has expired'))
  const timer = setTimeout(expire, Math.min(leftMs, TIMER_MS_MAX)).unref()
  socket.once('close', () => clearTimeout(timer))
}
