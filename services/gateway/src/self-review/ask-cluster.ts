import type { ResponseHead } from '@postern/kube-http'
import { EncodedLines, encodeRequestHead, type RequestHead } from '@postern/kube-http'
import { type MuxSession, toDuplex } from '@postern/mux'
import { parseResponseHead } from '../request/response-head.ts'

const ANSWER_BYTES_MAX = 4 * 1024 * 1024
const TIMEOUT_MS = 30_000

/** A body with the encoding that it has. */
export type Question = { readonly content: Buffer; readonly contentType: string }

/**
 * Asks the cluster a question under the user's account and reads the whole answer, as JSON.
 * @throws when it is lost, late, malformed or too large
 */
export async function askCluster(
  session: MuxSession,
  head: Omit<RequestHead, 'headers'>,
  { content, contentType }: Question,
  gone: AbortSignal,
): Promise<{ head: ResponseHead; body: Buffer }> {
  const lines = new EncodedLines([
    ['Content-Type', contentType],
    ['Accept', 'application/json'],
    ['Content-Length', String(content.length)],
  ])
  const stream = toDuplex(session.open(encodeRequestHead(head, lines)))
  const signal = AbortSignal.any([gone, AbortSignal.timeout(TIMEOUT_MS)])
  const stop = () => stream.body.destroy(new Error('the cluster did not answer in time'))
  signal.addEventListener('abort', stop, { once: true })
  stream.body.on('error', () => {})
  try {
    stream.body.end(content)
    const answer = parseResponseHead(await stream.head)
    if (answer === undefined) throw new Error('the cluster answered with a malformed head')
    const chunks: Buffer[] = []
    let bytes = 0
    for await (const chunk of stream.body) {
      if (!Buffer.isBuffer(chunk)) throw new Error('a mux stream carries bytes')
      bytes += chunk.length
      if (bytes > ANSWER_BYTES_MAX) throw new Error('the answer to a review is too large')
      chunks.push(chunk)
    }
    return { head: answer, body: Buffer.concat(chunks) }
  } finally {
    signal.removeEventListener('abort', stop)
    stream.body.destroy()
  }
}
