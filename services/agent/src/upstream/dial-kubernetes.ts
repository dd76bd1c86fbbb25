import { type ConnectionOptions, connect, type SecureContext, type TLSSocket } from 'node:tls'
import { UpstreamError } from './upstream-error.ts'

export type KubernetesServer = {
  readonly host: string
  readonly port: number
  readonly secureContext: SecureContext
}

const CONNECT_MS = 5_000
/** Larger than what a TLS record holds. */
const READ_BYTES = 32 * 1024
/** What may wait on a socket before its writer is stopped: some reads' worth, so that it is not for each. */
const HELD_BYTES_MAX = 256 * 1024

/**
 * What is read goes here, on whichever connection: it is handed on before the next read, so that nothing
 * is made and swept up for each record.
 */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES)

/**
 * TLS to kube-apiserver, which must have a certificate of the cluster's CA for that address. With `onRead`
 * what it reads goes there and nowhere else, in chunks that are good for the call only.
 */
export function dialKubernetes(
  server: KubernetesServer,
  options: {
    readonly protocols?: readonly string[]
    /** Each way ends by itself: whoever takes it ends it. */
    readonly halfOpen?: boolean
    readonly onRead?: (chunk: Buffer) => void
  } = {},
): Promise<TLSSocket> {
  const { protocols = ['http/1.1'], halfOpen = false, onRead } = options
  // net documents these, and node:tls passes them on; its types leave them out.
  const how: ConnectionOptions & {
    allowHalfOpen: boolean
    highWaterMark: number
    onread?: object
  } = {
    ...server,
    ALPNProtocols: [...protocols],
    allowHalfOpen: halfOpen,
    highWaterMark: HELD_BYTES_MAX,
  }
  if (onRead !== undefined) {
    how.onread = {
      buffer: readBuffer,
      callback(length: number, buffer: Buffer): boolean {
        onRead(buffer.subarray(0, length))
        return true
      },
    }
  }
  return new Promise((resolve, reject) => {
    const socket = connect(how)
    socket.setNoDelay(true)
    const timer = setTimeout(() => socket.destroy(new Error('no answer in time')), CONNECT_MS)
    const onError = (cause: Error) => {
      clearTimeout(timer)
      const message = `kube-apiserver cannot be reached: ${cause.message}`
      reject(new UpstreamError('unreachable', message, { cause }))
    }
    socket.once('error', onError)
    socket.once('secureConnect', () => {
      clearTimeout(timer)
      socket.removeListener('error', onError)
      resolve(socket)
    })
  })
}
