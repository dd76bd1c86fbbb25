import type { Socket } from 'node:net'

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
      if (!error) giveUp(chunk)
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

/**
 * What was read and written is of no more use, and its memory serves the next read. Left to the collector,
 * which only looks after many megabytes of them, the chunks cost more than carrying them does.
 */
function giveUp(chunk: Buffer): void {
  const { buffer } = chunk
  const isAllOfIt = chunk.length === buffer.byteLength
  if (isAllOfIt && buffer instanceof ArrayBuffer) buffer.transfer(0)
}
