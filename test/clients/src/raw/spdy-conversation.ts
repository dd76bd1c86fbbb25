import type { Duplex } from 'node:stream'
import { createSpdySession } from './spdy.ts'

/** A SPDY session whose streams have names, and that keeps what came on each. */
export type SpdyConversation = {
  open(name: string, headers: Readonly<Record<string, string>>): Promise<void>
  send(name: string, bytes: Buffer): Promise<void>
  /** The client's half of it. */
  end(name: string): Promise<void>
  endConnection(): void
  text(name: string): string
  /** Reads until it is so. @throws where the connection ends before */
  until(isSo: () => boolean): Promise<void>
  /** Reads to the end, and answers what came and how it ended. */
  rest(): Promise<string>
}

type Stream = { readonly name: string; readonly came: Buffer[]; end: 'open' | 'ended' | 'reset' }

export function createSpdyConversation(socket: Duplex): SpdyConversation {
  const session = createSpdySession(socket)
  const events = session.events()
  const streams = new Map<number, Stream>()
  const idOf = (name: string) => {
    for (const [id, stream] of streams) if (stream.name === name) return id
    throw new Error(`there is no stream ${name}`)
  }

  /** Answers how the connection ended, once it has. */
  async function readOne(): Promise<string | undefined> {
    const { done, value } = await events.next()
    if (done === true) return value
    if (value.kind === 'go-away') return undefined
    const stream = streams.get(value.stream)
    if (stream === undefined) throw new Error(`nobody opened stream ${value.stream}`)
    if (value.kind === 'data') stream.came.push(value.bytes)
    if (value.kind === 'reset') stream.end = 'reset'
    else if (value.fin) stream.end = 'ended'
    return undefined
  }

  function said(): string {
    return [...streams.values()]
      .map(({ name, came, end }) => `${name} (${end}): ${Buffer.concat(came).toString()}`)
      .join('\n')
  }

  return {
    async open(name, headers) {
      streams.set(await session.open(headers), { name, came: [], end: 'open' })
    },
    send: (name, bytes) => session.send(idOf(name), bytes),
    end: (name) => session.send(idOf(name), Buffer.alloc(0), { fin: true }),
    endConnection: () => socket.end(),
    text: (name) => Buffer.concat(streams.get(idOf(name))?.came ?? []).toString(),
    async until(isSo) {
      while (!isSo()) {
        const ended = await readOne()
        if (ended !== undefined) throw new Error(`it ${ended} before: ${said()}`)
      }
    },
    async rest() {
      for (;;) {
        const ended = await readOne()
        if (ended !== undefined) return `${said()}\nend: ${ended}`
      }
    },
  }
}
