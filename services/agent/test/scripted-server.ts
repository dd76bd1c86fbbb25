import { once } from 'node:events'
import { createSecureContext, createServer, type TLSSocket } from 'node:tls'
import { createTestAuthority } from '@postern/pki/testing'

/** A connection to a server that says exactly what a test wants it to say. */
export type ScriptedConnection = {
  readonly socket: TLSSocket
  /** Everything received so far. */
  readonly received: () => string
  /** Resolves when the text has come, at most 5 s later. */
  until(text: string): Promise<void>
  say(text: string): void
}

/** In the place of kube-apiserver, for what a real one does not do on demand. */
export async function startScriptedServer() {
  const authority = await createTestAuthority()
  const { cert, key } = await authority.material('service/apiserver', { dnsNames: ['localhost'] })
  const connections: ScriptedConnection[] = []
  const waiting: ((connection: ScriptedConnection) => void)[] = []
  const server = createServer({ cert, key }, (socket) => {
    let received = ''
    const looks = new Set<() => void>()
    const connection: ScriptedConnection = {
      socket,
      received: () => received,
      say: (text) => void socket.write(text, 'latin1'),
      until: (text) =>
        new Promise((resolve, reject) => {
          const look = () => {
            if (!received.includes(text)) return
            clearTimeout(timer)
            looks.delete(look)
            resolve()
          }
          const timer = setTimeout(
            () => reject(new Error(`${JSON.stringify(text)} did not come: ${received}`)),
            5_000,
          )
          looks.add(look)
          look()
        }),
    }
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      if (received.length < 4 << 20) received += chunk.toString('latin1')
      for (const look of looks) look()
    })
    connections.push(connection)
    waiting.shift()?.(connection)
  })
  server.listen(0, 'localhost')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0

  return {
    host: 'localhost',
    port,
    secureContext: createSecureContext({ ca: authority.ca }),
    connections,
    /** The next connection that is made. */
    accept: () => new Promise<ScriptedConnection>((resolve) => waiting.push(resolve)),
    close() {
      for (const { socket } of connections) socket.destroy()
      server.close()
    },
  }
}

export type ScriptedServer = Awaited<ReturnType<typeof startScriptedServer>>
