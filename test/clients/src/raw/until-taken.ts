import { once } from 'node:events'
import type { Duplex } from 'node:stream'

/** Resolves when the connection takes more, or never will: its reader hears how it ended. */
export async function untilTaken(socket: Duplex): Promise<void> {
  try {
    await Promise.race([once(socket, 'drain'), once(socket, 'close')])
  } catch {
    // Broken.
  }
}
