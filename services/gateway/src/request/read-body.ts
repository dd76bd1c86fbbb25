import type { FrontRequest } from '../front/front-interface.ts'
import { type Refusal, refusals } from './refusal.ts'

/**
 * The whole of a small body, for whoever answers by himself. The signal is aborted when the client goes
 * away, then or later.
 */
export function readBody(
  request: FrontRequest,
  bytesMax: number,
): {
  readonly content: Promise<{ body: Buffer } | { refusal: Refusal }>
  readonly gone: AbortSignal
} {
  const gone = new AbortController()
  const content = new Promise<{ body: Buffer } | { refusal: Refusal }>((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    request.listen({
      onBody(chunk) {
        bytes += chunk.length
        if (bytes <= bytesMax) chunks.push(Buffer.from(chunk))
        else
          resolve({ refusal: { code: 413, message: `the body has more than ${bytesMax} bytes` } })
      },
      onBodyEnd: () => resolve({ body: Buffer.concat(chunks) }),
      onAnswerDrain() {},
      onSent() {},
      onGone() {
        resolve({ refusal: refusals.clientGone })
        gone.abort()
      },
    })
  })
  return { content, gone: gone.signal }
}
