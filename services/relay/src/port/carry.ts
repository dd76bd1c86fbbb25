import type { Socket } from 'node:net'
import { giveUp } from '@postern/mux'

const KEEP_ALIVE_MS = 30_000

/**
 * One direction of a splice: whatever `from` sends, `to` gets, as it is and no faster than it takes it. An
 * end goes on as an end, behind the last byte, so that each direction ends by itself; anything else that
 * closes one socket resets the other, so that what was cut off never looks complete.
 */
export function carry(from: Socket, to: Socket, over: () => void): void {
  from.setKeepAlive(true, KEEP_ALIVE_MS)
  from.on('data', (chunk: Buffer) => {
    const taken = to.write(chunk, (error) => {
      if (!error) giveUp(chunk, from)
    })
    if (!taken) from.pause()
  })
  to.on('drain', () => from.resume())
  from.on('end', () => to.end())
  from.once('close', () => {
    const complete = from.readableEnded && from.writableFinished
    if (!complete) to.resetAndDestroy()
    if (to.destroyed) over()
  })
  from.resume()
}
