import type { TLSSocket } from 'node:tls'
import { messageOf } from '@postern/errors'
import {
  createResponseReader,
  type OutgoingRequest,
  type ResponseHead,
  type UpgradeProtocol,
  writeRequestHead,
} from '@postern/kube-http'
import { UpstreamError } from '../upstream/upstream-error.ts'

/** What kube-apiserver said to an upgrade. */
export type UpgradeAnswer =
  /** The connection is the protocol's from here; `early` has come already. */
  | { readonly kind: 'switched'; readonly head: ResponseHead; readonly early: readonly Buffer[] }
  /** Anything else: one bounded answer, and the connection is of no more use. */
  | { readonly kind: 'answered'; readonly head: ResponseHead; readonly body: Buffer }

const UPGRADE_BODY_BYTES_MAX = 64 * 1024
const HEAD_BYTES_MAX = 64 * 1024
const ANSWER_MS = 30_000

/**
 * Asks for the upgrade on a connection of its own, and answers with the socket paused.
 * @throws UpstreamError when there is no usable answer in time
 */
export function askUpgrade(
  upstream: TLSSocket,
  request: OutgoingRequest,
  protocol: UpgradeProtocol,
): Promise<UpgradeAnswer> {
  const { method } = request
  const text = writeRequestHead(request)
  return new Promise((resolve, reject) => {
    let head: ResponseHead | undefined
    const early: Buffer[] = []
    const body: Buffer[] = []
    let bodyBytes = 0

    const stop = () => {
      clearTimeout(timer)
      upstream.pause()
      upstream.removeListener('data', onData)
      upstream.removeListener('end', onEnd)
      upstream.removeListener('error', onError)
      upstream.removeListener('close', onClose)
    }
    const fail = (message: string) => {
      stop()
      reject(new UpstreamError('lost', message))
    }
    const answered = () => {
      if (head === undefined) return
      stop()
      const all = Buffer.concat(body).subarray(0, UPGRADE_BODY_BYTES_MAX)
      resolve({ kind: 'answered', head, body: all })
    }
    const reader = createResponseReader(
      { method, upgrade: protocol, headBytesMax: HEAD_BYTES_MAX },
      {
        onHead(received) {
          head = received
        },
        onBody(chunk) {
          body.push(chunk)
          bodyBytes += chunk.length
        },
        onEnd: answered,
        onSwitched: (chunk) => early.push(chunk),
      },
    )
    const onData = (chunk: Buffer) => {
      try {
        reader.push(chunk)
      } catch (error) {
        fail(messageOf(error))
        return
      }
      if (bodyBytes >= UPGRADE_BODY_BYTES_MAX) answered()
      if (reader.state !== 'switched' || head === undefined) return
      stop()
      resolve({ kind: 'switched', head, early })
    }
    const onEnd = () => {
      try {
        reader.close()
      } catch (error) {
        fail(messageOf(error))
      }
    }
    const onError = (error: Error) => fail(error.message)
    const onClose = () => fail('the connection was closed')
    const timer = setTimeout(() => fail('kube-apiserver did not answer in time'), ANSWER_MS)
    upstream.on('data', onData)
    upstream.on('end', onEnd)
    upstream.on('error', onError)
    upstream.on('close', onClose)
    upstream.write(text, 'latin1')
  })
}
