import { connect, type IncomingHttpHeaders } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import type { Credentials } from './certificates.ts'

/** What a gRPC call by hand comes to; the status is UNAUTHENTICATED, PERMISSION_DENIED and so on. */
export type GrpcAnswer = {
  /** A name of the list below, or 'no connection'. */
  readonly status: string
  readonly message: string
}

const CALL_MS_MAX = 30_000
/** https://grpc.io/docs/guides/status-codes */
const CODES = ['OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED'].concat(
  ['NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED'],
  ['FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL'],
  ['UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'],
)

/** One call of "/postern.identity.v1.UserService/ListUsers", as a stranger would write it. */
export async function grpcCall(order: {
  readonly port: number
  readonly path: string
  readonly ca: string
  readonly credentials?: Credentials | undefined
  readonly servername?: string
  readonly metadata?: Readonly<Record<string, string>>
  /** An encoded message; an empty one when absent. */
  readonly message?: Buffer
}): Promise<GrpcAnswer> {
  const { port, path, ca, credentials = {}, servername, metadata = {} } = order
  const { message = Buffer.alloc(0) } = order
  return await new Promise((resolve) => {
    const socket = connectTls({
      host: '127.0.0.1',
      port,
      ca,
      ...credentials,
      minVersion: 'TLSv1.3',
      ALPNProtocols: ['h2'],
      checkServerIdentity: () => undefined,
      ...(servername === undefined ? {} : { servername }),
    })
    const session = connect(`https://127.0.0.1:${port}`, { createConnection: () => socket })
    const timer = setTimeout(() => end({ status: 'no connection', message: 'late' }), CALL_MS_MAX)
    const end = (answer: GrpcAnswer) => {
      clearTimeout(timer)
      session.destroy()
      socket.destroy()
      resolve(answer)
    }
    const lost = (error: Error) => end({ status: 'no connection', message: error.message })
    session.on('error', lost)
    session.on('close', () => end({ status: 'no connection', message: 'closed' }))
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...metadata,
    })
    const said = (headers: IncomingHttpHeaders) => {
      const { 'grpc-status': code, 'grpc-message': text = '' } = headers
      if (typeof code !== 'string' || typeof text !== 'string') return
      end({ status: CODES[Number(code)] ?? code, message: decodeURIComponent(text) })
    }
    stream.on('response', said)
    stream.on('trailers', said)
    stream.on('error', lost)
    stream.resume()
    const frame = Buffer.alloc(5)
    frame.writeUInt32BE(message.length, 1)
    stream.end(Buffer.concat([frame, message]))
  })
}

/** A string or bytes field of a protobuf message, encoded. */
export function protoField(number: number, value: string | Buffer): Buffer {
  const bytes = Buffer.from(value)
  if (bytes.length > 127) throw new RangeError('one byte of length is enough here')
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes])
}
