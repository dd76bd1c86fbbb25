import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import {
  type AgentError,
  agentErrorHead,
  encodeResponseHead,
  HEAD_BYTES_MAX,
  HeadError,
  type ResponseHead,
} from '@postern/kube-http'
import { parseTraceparent, startSpan, toTraceparent } from '@postern/telemetry'
import { UpstreamError } from '../upstream/upstream-error.ts'
import { type GatewayHead, readGatewayHead, toClusterRequest } from './cluster-request.ts'
import type { ForwardNeeds } from './forward-needs.ts'
import { readExactly } from './read-exactly.ts'
import { splice } from './splice.ts'
import { askUpgrade } from './upgrade-answer.ts'

const HEAD_MS = 10_000
const CLOSING_MS = 5_000

/**
 * Carries one upgrade on a connection to kube-apiserver that is used for nothing else. On 101 the two
 * are joined; any other answer is passed on once, bounded, and both connections end (CVE-2018-1002105).
 */
export async function forwardUpgrade(gateway: Socket, needs: ForwardNeeds): Promise<void> {
  const { keeper, live, log, signals } = needs
  gateway.on('error', () => {})
  const head = await readHead(gateway)
  if (head?.upgrade === undefined) return await refuse(gateway, 'head-refused', needs)
  const { sessionId, upgrade } = head
  const token = keeper.token(sessionId) ?? (await keeper.tokenSoon(sessionId))
  if (typeof token === 'string') return await refuse(gateway, token, needs)

  const span = startSpan('agent.upgrade', {
    kind: 'client',
    parent: parseTraceparent(head.traceparent),
  })
  let upstream: TLSSocket | undefined
  const cut = () => {
    gateway.destroy()
    upstream?.destroy()
  }
  const running = { sessionId, cut }
  const seat = live.add(running)
  try {
    const traceparent = toTraceparent(span.trace)
    const request = toClusterRequest(head, { credential: needs.credentials(token), traceparent })
    upstream = await needs.dial()
    upstream.on('error', () => {})
    if (gateway.destroyed) return
    gateway.once('close', cut)
    signals.upgrades.inc()
    const answer = await askUpgrade(upstream, request, upgrade)
    if (answer.head.status === 401) keeper.foundBroken(sessionId)
    gateway.write(framed(answer.head))
    if (answer.kind === 'answered') return await endAfter(gateway, answer.body)
    gateway.removeListener('close', cut)
    for (const chunk of answer.early) gateway.write(chunk)
    await splice(gateway, upstream)
  } catch (error) {
    if (!(error instanceof HeadError || error instanceof UpstreamError)) throw error
    // Once something was sent, only a break says that the answer is not known.
    if (error instanceof UpstreamError && error.kind === 'lost') {
      log.debug({ err: error, sessionId, auditId: head.auditId }, 'upgrade to the cluster broke')
      return
    }
    await refuse(gateway, reasonOf(error), needs)
  } finally {
    live.remove(seat, running)
    gateway.destroy()
    upstream?.destroy()
    span.span.end()
  }
}

async function readHead(gateway: Socket): Promise<GatewayHead | undefined> {
  try {
    const length = (await readExactly(gateway, 4, HEAD_MS)).readUInt32BE(0)
    if (length > HEAD_BYTES_MAX) return undefined
    return readGatewayHead(await readExactly(gateway, length, HEAD_MS))
  } catch {
    // Malformed, late or lost: there is nothing to carry.
    return undefined
  }
}

async function refuse(gateway: Socket, error: AgentError, needs: ForwardNeeds): Promise<void> {
  needs.signals.refused.inc({ reason: error })
  if (gateway.writable) gateway.write(framed(agentErrorHead(error)))
  await endAfter(gateway, Buffer.alloc(0))
}

/** Resolves when the last byte is out and the other side has closed, or does not. */
function endAfter(gateway: Socket, body: Buffer): Promise<void> {
  return new Promise((resolve) => {
    if (gateway.destroyed) {
      resolve()
      return
    }
    const timer = setTimeout(() => gateway.destroy(), CLOSING_MS)
    gateway.once('close', () => {
      clearTimeout(timer)
      resolve()
    })
    gateway.resume()
    gateway.end(body)
  })
}

function framed(head: ResponseHead): Buffer {
  const encoded = encodeResponseHead(head)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(encoded.length)
  return Buffer.concat([length, encoded])
}

function reasonOf(error: HeadError | UpstreamError): AgentError {
  if (error instanceof HeadError) return 'head-refused'
  return error.kind === 'full' ? 'overloaded' : 'upstream-unreachable'
}
