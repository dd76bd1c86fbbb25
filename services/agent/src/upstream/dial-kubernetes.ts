import { connect, type SecureContext, type TLSSocket } from 'node:tls'
import { UpstreamError } from './upstream-error.ts'

const CONNECT_MS = 5_000

/** TLS to kube-apiserver, which must have a certificate of the cluster's CA for that address. */
export function dialKubernetes(server: {
  readonly host: string
  readonly port: number
  readonly secureContext: SecureContext
}): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...server, ALPNProtocols: ['http/1.1'] })
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
