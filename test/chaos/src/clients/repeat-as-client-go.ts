import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import type { Attempt, Client, Order } from './client.ts'

/** What became of a request in the eyes of a client that repeats as client-go does by itself. */
export type Outcome = {
  /** `broken`: after the answer had begun. */
  readonly status: number | 'failed' | 'broken'
  readonly text: string
  /** Why each repetition was made. */
  readonly repeated: readonly string[]
}

const REPETITIONS_MAX = 10
const AGAIN_MS = 20

/**
 * Why client-go and Go's net/http send the request once more by themselves, and after how long
 * (k8s.io/client-go/rest/with_retry.go, net/http/transport.go): any request that the server did not look
 * at, or answered with Retry-After; a GET that was lost before an answer had begun.
 */
function whyAgain(
  attempt: Attempt,
  method: string,
): { readonly reason: string; readonly afterMs: number } | undefined {
  if (attempt.kind === 'failed') {
    const harmless = attempt.refused || method === 'GET'
    return harmless ? { reason: attempt.reason, afterMs: AGAIN_MS } : undefined
  }
  const { status, retryAfterSeconds } = attempt
  if ((status !== 429 && status < 500) || retryAfterSeconds === undefined) return undefined
  return { reason: String(status), afterMs: retryAfterSeconds * 1000 }
}

/** Sends until there is an answer that is not repeated any more. */
export async function repeatedly(
  client: Client,
  order: Order,
): Promise<{ readonly attempt: Attempt; readonly repeated: readonly string[] }> {
  const repeated: string[] = []
  for (;;) {
    const attempt = await client.send(order)
    const again = whyAgain(attempt, order.method ?? 'GET')
    if (again === undefined || repeated.length === REPETITIONS_MAX) return { attempt, repeated }
    const said = attempt.kind === 'answered' ? await textOf(attempt.body) : ''
    repeated.push(`${again.reason} ${said}`.trim())
    await wait(again.afterMs)
  }
}

/** The whole answer. What breaks once it has begun is not repeated. */
export async function ask(client: Client, order: Order): Promise<Outcome> {
  const { attempt, repeated } = await repeatedly(client, order)
  if (attempt.kind === 'failed') return { status: 'failed', text: attempt.reason, repeated }
  try {
    return { status: attempt.status, text: await textOf(attempt.body), repeated }
  } catch (error) {
    return { status: 'broken', text: String(error), repeated }
  }
}

async function textOf(body: Readable): Promise<string> {
  let text = ''
  for await (const chunk of body.setEncoding('utf8')) text += String(chunk)
  return text
}
