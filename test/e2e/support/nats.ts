import { once } from 'node:events'
import { connect } from 'node:net'
import type { E2eWorld } from './e2e-world.ts'

const ANSWER_MS_MAX = 30_000

/** Says lines of the NATS protocol by hand, and answers what the server said to the last of them. */
export async function saidByNats(
  { platform }: E2eWorld,
  signIn: { readonly user?: string; readonly pass?: string },
  published: readonly { readonly subject: string; readonly data: Buffer }[] = [],
): Promise<string[]> {
  const socket = connect(platform.ports.nats, '127.0.0.1')
  let text = ''
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk
  })
  socket.on('error', () => {})
  const signal = AbortSignal.timeout(ANSWER_MS_MAX)
  try {
    await once(socket, 'data', { signal })
    socket.write(`CONNECT ${JSON.stringify({ verbose: false, ...signIn })}\r\n`)
    for (const { subject, data } of published) {
      socket.write(`PUB ${subject} ${data.length}\r\n`)
      socket.write(data)
      socket.write('\r\n')
    }
    socket.write('PING\r\n')
    while (!/^(PONG|-ERR 'Authorization)/m.test(text)) await once(socket, 'data', { signal })
    return text.split('\r\n').filter((line) => line.startsWith('-ERR'))
  } finally {
    socket.destroy()
  }
}

/** The password of a service's user on the bus. */
export function natsPassword({ platform }: E2eWorld, service: string): string {
  return platform.secrets.password(`nats-${service}`)
}
