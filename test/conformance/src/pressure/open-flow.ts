import { once } from 'node:events'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import type { Duplex, Readable, Writable } from 'node:stream'
import { openHttp2Session } from '../open-http2-stream.ts'
import type { RecordingWorld } from '../recording/recording-world.ts'

/** One direction of a request that goes on: what is written at one end, and nobody reads yet at the other. */
export type Flow = { readonly source: Writable; readonly sink: Readable; close(): void }
export type Direction = 'down' | 'up'
export type PlainProtocol = 'HTTP/1.1' | 'HTTP/2'
export type UpgradeProtocol = 'websocket' | 'SPDY/3.1'

const OPEN_MS_MAX = 15_000
const ASKED = {
  websocket: {
    method: 'GET',
    headers: { 'sec-websocket-version': '13', 'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==' },
  },
  'SPDY/3.1': {
    method: 'POST',
    headers: { 'x-stream-protocol-version': 'v4.channel.k8s.io' },
  },
}
const METHODS = { down: 'GET', up: 'POST' }

/** A request with its answer (down) or its body (up) under way. */
export async function openPlain(
  world: RecordingWorld,
  how: { readonly protocol: PlainProtocol; readonly direction: Direction; readonly target: string },
): Promise<Flow> {
  const { protocol, direction } = how
  const arriving = soon(arrivingPlain(world))
  const { request, answered, close } = (protocol === 'HTTP/1.1' ? askHttp1 : askHttp2)(world, how)
  if (direction === 'up') return { source: request, sink: (await arriving).body, close }
  request.end()
  return { source: (await arriving).answer, sink: await answered, close }
}

/** An exec that is switched, in one of its directions. */
export async function openUpgraded(
  world: RecordingWorld,
  how: {
    readonly protocol: UpgradeProtocol
    readonly direction: Direction
    readonly target: string
  },
): Promise<Flow> {
  const { protocol, direction, target } = how
  const arriving = new Promise<Duplex>((resolve) => {
    world.api.handlers.upgrade = (_arrived, socket) => {
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n\r\n`,
      )
      resolve(socket)
    }
  })
  const { method, headers } = ASKED[protocol]
  const asked = httpsRequest({
    ...optionsOf(world, method, target),
    headers: { ...headersOf(world), ...headers, connection: 'Upgrade', upgrade: protocol },
  })
  const switched = new Promise<Duplex>((resolve, reject) => {
    asked.on('upgrade', (_response, socket) => resolve(socket)).on('error', reject)
    asked.on('response', ({ statusCode }) => reject(new Error(`refused with ${statusCode}`)))
  })
  asked.end()
  const client = await switched
  client.on('error', () => {})
  const server = await soon(arriving)
  const [source, sink] = direction === 'down' ? [server, client] : [client, server]
  return { source, sink, close: () => void client.destroy() }
}

function arrivingPlain(world: RecordingWorld): Promise<{ answer: Writable; body: Readable }> {
  return new Promise((resolve) => {
    world.api.handlers.request = (_arrived, answer, body) => {
      if (body.method === METHODS.up) {
        body.on('end', () => answer.end('{}'))
      } else {
        answer.writeHead(200, { 'content-type': 'application/json' }).flushHeaders()
      }
      resolve({ answer, body })
    }
  })
}

type Plain = {
  readonly request: Writable
  readonly answered: Promise<Readable>
  readonly close: () => void
}

function askHttp1(
  world: RecordingWorld,
  { direction, target }: { readonly direction: Direction; readonly target: string },
): Plain {
  const request = httpsRequest(optionsOf(world, METHODS[direction], target))
  request.on('error', () => {})
  request.flushHeaders()
  const answered = firstOf<Readable>(request, 'response')
  answered.catch(() => {})
  return { request, answered, close: () => void request.destroy() }
}

function askHttp2(
  world: RecordingWorld,
  { direction, target }: { readonly direction: Direction; readonly target: string },
): Plain {
  const session = openHttp2Session(world)
  const stream = session.request(
    {
      ':method': METHODS[direction],
      ':path': target,
      ':authority': world.host,
      authorization: `Bearer ${world.token}`,
    },
    { endStream: false },
  )
  stream.on('error', () => {})
  const answered = firstOf(stream, 'response').then(() => stream)
  answered.catch(() => {})
  return { request: stream, answered, close: () => session.destroy() }
}

function optionsOf(world: RecordingWorld, method: string, path: string): RequestOptions {
  const { gatewayPort: port, e2e } = world
  const where = { host: '127.0.0.1', port, servername: 'localhost', ca: e2e.ca, agent: false }
  return { ...where, method, path, headers: headersOf(world) }
}

function headersOf({ host, token }: RecordingWorld): Record<string, string> {
  return { host, authorization: `Bearer ${token}` }
}

/** @throws Error when it does not come: it was refused on the way */
async function soon<T>(coming: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error('nothing arrived')), OPEN_MS_MAX).unref()
  })
  return await Promise.race([coming, late])
}

async function firstOf<T>(emitter: NodeJS.EventEmitter, name: string): Promise<T> {
  const [first]: T[] = await once(emitter, name, { signal: AbortSignal.timeout(OPEN_MS_MAX) })
  if (first === undefined) throw new Error(`${name} came with nothing`)
  return first
}
