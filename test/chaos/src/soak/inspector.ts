import { once } from 'node:events'
import { eventually } from '@postern/bootstrap'
import type { ClosingStack } from '@postern/lifecycle'

/** What a Node process says about itself once it has collected its garbage. */
type Inside = {
  readonly heapBytes: number
  /** Buffers and what else lies outside of the heap. */
  readonly externalBytes: number
  /** What keeps it running, by kind: "TCPSocketWrap", "Timeout". */
  readonly handles: Readonly<Record<string, number>>
}

/** Node's own inspector, on loopback (https://chromedevtools.github.io/devtools-protocol/). */
export type Inspector = {
  look(): Promise<Inside>
}

const CONNECT_MS_MAX = 30_000
const ANSWER_MS_MAX = 60_000
const LOOK = `JSON.stringify({ memory: process.memoryUsage(), resources: process.getActiveResourcesInfo() })`

/** A process that is looked into does not end by itself: what was opened is closed before the process. */
export async function openInspector(port: number, closing: ClosingStack): Promise<Inspector> {
  const socket = await eventually(`an inspector on port ${port}`, CONNECT_MS_MAX, async () => {
    const response = await fetch(`http://127.0.0.1:${port}/json/list`)
    const [found]: { webSocketDebuggerUrl: string }[] = JSON.parse(await response.text())
    if (found === undefined) throw new Error('it lists nothing')
    const opening = new WebSocket(found.webSocketDebuggerUrl)
    await once(opening, 'open')
    return opening
  })
  closing.defer('inspector', () => socket.close())
  let lastId = 0

  async function call(method: string, params: object = {}): Promise<unknown> {
    lastId += 1
    const id = lastId
    const answered = new Promise<unknown>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`no answer to ${method} on port ${port}`)),
        ANSWER_MS_MAX,
      )
      const hear = ({ data }: MessageEvent) => {
        const message: { id?: number; result?: unknown } = JSON.parse(String(data))
        if (message.id !== id) return
        clearTimeout(timer)
        socket.removeEventListener('message', hear)
        resolve(message.result)
      }
      socket.addEventListener('message', hear)
    })
    socket.send(JSON.stringify({ id, method, params }))
    return await answered
  }

  return {
    async look() {
      await call('HeapProfiler.collectGarbage')
      const said = await call('Runtime.evaluate', { expression: LOOK, returnByValue: true })
      const { result }: { result: { value: string } } = JSON.parse(JSON.stringify(said))
      const found: { memory: NodeJS.MemoryUsage; resources: string[] } = JSON.parse(result.value)
      const handles: Record<string, number> = {}
      for (const kind of found.resources) handles[kind] = (handles[kind] ?? 0) + 1
      return {
        heapBytes: found.memory.heapUsed,
        externalBytes: found.memory.external,
        handles,
      }
    },
  }
}
