import { connect, createServer, type Server, type Socket } from 'node:net'

/** Stands before a server, and can be as gone as that server would be. */
export async function startCuttableProxy(target: { host: string; port: number }) {
  const sockets = new Set<Socket>()
  let server: Server | undefined
  let port = 0

  async function listen(): Promise<void> {
    const next = createServer((client) => {
      const upstream = connect(target)
      for (const [one, other] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        sockets.add(one)
        one.pipe(other)
        one.on('error', () => other.destroy())
        one.on('close', () => {
          sockets.delete(one)
          other.destroy()
        })
      }
    })
    await new Promise<void>((resolve, reject) => {
      next.once('error', reject)
      next.listen(port, '127.0.0.1', () => resolve())
    })
    const address = next.address()
    if (address === null || typeof address === 'string') throw new Error('not listening on TCP')
    port = address.port
    server = next
  }

  async function cut(): Promise<void> {
    const closed = new Promise((resolve) => server?.close(resolve))
    for (const socket of sockets) socket.destroy()
    await closed
    server = undefined
  }

  await listen()
  return {
    port,
    cut,
    mend: listen,
    async stop() {
      if (server !== undefined) await cut()
    },
  }
}
