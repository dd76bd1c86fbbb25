import type { Readable, Writable } from 'node:stream'
import type { CuttableStream } from './cuttable-stream.ts'

/** How a flow of bytes to a client ended. */
export type FlowEnd = 'complete' | 'cut' | 'source-lost' | 'client-gone'

/**
 * Carries a source through to a client. A clean end is passed on only where the source ended clean, or
 * where it `mayEnd` and was lost between two frames; a client that goes away stops the source. Resolves
 * once the last byte is out or never will be.
 */
export function flow(
  source: Readable,
  through: CuttableStream,
  client: Writable,
  { mayEnd = false } = {},
): Promise<FlowEnd> {
  return new Promise((resolve) => {
    let sourceEnded = false
    let end: FlowEnd | undefined
    const settle = (how: FlowEnd) => {
      end ??= how
    }

    source.on('end', () => {
      sourceEnded = true
      settle('complete')
    })
    source.on('error', () => {})
    source.on('close', () => {
      if (sourceEnded || end !== undefined) return
      settle('source-lost')
      if (mayEnd) through.endWithoutSource()
      else client.destroy(new Error('the source was lost'))
    })
    through.on('error', () => {
      settle('cut')
      client.destroy(new Error('the stream was cut'))
    })
    through.on('end', () => {
      // Ends before its source only where a farewell was said.
      settle('cut')
      if (!sourceEnded) source.destroy()
    })
    client.on('error', () => {})
    client.on('close', () => {
      if (!client.writableFinished) settle('client-gone')
      through.destroy()
      if (!source.closed) source.destroy()
      resolve(end ?? 'client-gone')
    })
    client.on('finish', () => {
      settle('complete')
      resolve(end ?? 'complete')
    })
    source.pipe(through).pipe(client)
  })
}
