import type { WebSocketClient } from './websocket.ts'

/** KEP-4006 and apimachinery's wsstream: a message is a channel's number and what is on it. */
export const Channel = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const

/** A conversation in one of the channel protocols. */
export type Channels = {
  /** All that came on a channel so far. */
  text(channel: number): string
  send(channel: number, bytes: Buffer): Promise<void>
  /** Reads until it is so. @throws where the connection ends before */
  until(isSo: () => boolean): Promise<void>
  /** Reads to the end, and answers what came and how it ended. */
  rest(): Promise<string>
}

export function openChannels(socket: WebSocketClient): Channels {
  const isBase64 = socket.subprotocol.includes('base64')
  const came = new Map<number, Buffer[]>()
  const messages = socket.messages()

  function keep(message: Buffer): void {
    const [channel, bytes] = isBase64
      ? [(message[0] ?? 0) - 0x30, Buffer.from(message.subarray(1).toString('latin1'), 'base64')]
      : [message[0] ?? 0, message.subarray(1)]
    came.set(channel, [...(came.get(channel) ?? []), bytes])
  }

  const textOf = (channel: number) => Buffer.concat(came.get(channel) ?? []).toString()
  return {
    text: textOf,
    async send(channel, bytes) {
      const message = isBase64
        ? Buffer.from(`${channel}${bytes.toString('base64')}`)
        : Buffer.concat([Buffer.from([channel]), bytes])
      await socket.send(message, isBase64 ? 1 : 2)
    },
    async until(isSo) {
      while (!isSo()) {
        const { done, value } = await messages.next()
        if (done === true) throw new Error(`it ended before: ${value}; ${said()}`)
        keep(value)
      }
    },
    async rest() {
      for (;;) {
        const { done, value } = await messages.next()
        if (done === true) return `${said()}\nend: ${value}`
        keep(value)
      }
    },
  }

  function said(): string {
    const lines = [...came.keys()]
      .toSorted((a, b) => a - b)
      .map((channel) => `${channel}: ${textOf(channel)}`)
    return [`protocol: ${socket.subprotocol}`, ...lines].join('\n')
  }
}
