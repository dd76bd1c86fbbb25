import type { Readable } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import type { Client } from './client.ts'
import { ask, repeatedly } from './repeat-as-client-go.ts'

/** A copy of a collection, kept as client-go's reflector keeps one (k8s.io/client-go/tools/cache/reflector.go). */
export type Reflector = {
  /** Resource versions by name. */
  readonly store: ReadonlyMap<string, string>
  /** Why each list after the first was needed. */
  readonly relists: readonly string[]
  /** How often a watch ended and was taken up again where it was. */
  readonly resumed: number
  stop(): void
}

type Item = { readonly metadata: { readonly name: string; readonly resourceVersion: string } }
type Event = { readonly type: string; readonly object: Item & { readonly code?: number } }

const AGAIN_MS = 100
/** "Very short watch": one that ends sooner and brought nothing counts as an error there. */
const SHORT_MS = 1_000

/** Lists and watches the path until it is stopped. Resolves with the first list. */
export async function startReflector(client: Client, path: string): Promise<Reflector> {
  const store = new Map<string, string>()
  const relists: string[] = []
  let resourceVersion = ''
  let resumed = 0
  let isStopped = false

  async function list(): Promise<void> {
    const { status, text } = await ask(client, { path })
    if (status !== 200) throw new Error(`the list failed: ${status} ${text}`)
    const { metadata, items }: { metadata: Item['metadata']; items: Item[] } = JSON.parse(text)
    store.clear()
    for (const item of items) store.set(item.metadata.name, item.metadata.resourceVersion)
    resourceVersion = metadata.resourceVersion
  }

  /** Answers why a list is needed before the next watch; nothing when it is not. */
  async function watch(): Promise<string | undefined> {
    const query = `watch=true&allowWatchBookmarks=true&resourceVersion=${resourceVersion}`
    const { attempt } = await repeatedly(client, { path: `${path}?${query}` })
    if (attempt.kind === 'failed') return attempt.reason
    if (attempt.status !== 200) return `the watch was answered with ${attempt.status}`
    const begun = performance.now()
    let events = 0
    try {
      for await (const line of linesOf(attempt.body)) {
        const event: Event = JSON.parse(line)
        if (event.type === 'ERROR') return `an ERROR event: ${line}`
        events += 1
        apply(event)
      }
    } catch (error) {
      // A lost connection is an end like any other there, a stream that was reset is not.
      if (!attempt.isConnectionLost()) return String(error)
    }
    const isShort = events === 0 && performance.now() - begun < SHORT_MS
    return isShort ? 'the watch was very short' : undefined
  }

  function apply({ type, object: { metadata } }: Event): void {
    resourceVersion = metadata.resourceVersion
    if (type === 'DELETED') store.delete(metadata.name)
    else if (type !== 'BOOKMARK') store.set(metadata.name, metadata.resourceVersion)
  }

  async function follow(): Promise<void> {
    while (!isStopped) {
      const why = await watch()
      if (isStopped) return
      await wait(AGAIN_MS)
      if (why === undefined) {
        resumed += 1
      } else {
        relists.push(why)
        await list()
      }
    }
  }

  await list()
  follow().catch((error: unknown) => relists.push(`it gave up: ${String(error)}`))
  return {
    store,
    relists,
    get resumed() {
      return resumed
    },
    stop() {
      isStopped = true
      client.close()
    },
  }
}

async function* linesOf(body: Readable): AsyncGenerator<string> {
  let rest = ''
  for await (const chunk of body.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop() ?? ''
    yield* lines
  }
}
