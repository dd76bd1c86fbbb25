import type { Duplex } from 'node:stream'
import {
  agentErrorOf,
  forwardableResponseHeaders,
  type HeaderLines,
  type ResponseHead,
  type UpgradeProtocol,
} from '@postern/kube-http'
import { BatchWriter } from '@postern/mux'
import { TunnelError } from '@postern/tunnel'
import type { FrontRequest } from '../front/front-interface.ts'
import { headerValue } from '../front/header-values.ts'
import { CuttableStream, type FlowEnd } from '../streams/cuttable-stream.ts'
import type { SessionFraming } from '../streams/framing.ts'
import type { Cut } from '../streams/live-requests.ts'
import { carriesStatus, createSpdyFraming, spdyFarewell } from '../streams/spdy.ts'
import { createWebSocketFraming, statusEncoding, webSocketFarewell } from '../streams/websocket.ts'
import type { ClusterTunnels } from '../tunnels/cluster-tunnels.ts'
import { statusText } from './kubernetes-status.ts'
import type { Cuttable, Outcome } from './outcome.ts'
import { readExactly } from './read-exactly.ts'
import { badUpstream, clusterUnreachable, cutShort, lostAfterForwarding } from './refusal.ts'
import { acceptResponseHead, parseResponseHead } from './response-head.ts'

const HEAD_BYTES_MAX = 64 * 1024
const REFUSAL_BYTES_MAX = 64 * 1024
const ANSWER_TIMEOUT_MS = 35_000
const CLOSING_MS = 5_000

/**
 * Carries an upgraded request on a connection of its own, which is used for nothing else whatever the
 * answer is: a failed upgrade that left a connection open was CVE-2018-1002105.
 */
export function forwardUpgrade(order: {
  request: FrontRequest
  /** Encoded, from the allow-list, with what it upgrades to. */
  head: Uint8Array
  tunnels: ClusterTunnels
  clusterId: string
  clusterName: string
  onStarted(code: number): void
}): Cuttable & { done: Promise<Outcome> } {
  const { request, clusterName } = order
  const gone = new AbortController()
  request.listen({
    onBody() {},
    onBodyEnd() {},
    onAnswerDrain() {},
    onSent() {},
    onGone: () => gone.abort(),
  })
  let cutBy: Cut | undefined
  let cutNow: (why: Cut) => void = () => gone.abort()

  async function run(): Promise<Outcome> {
    const connected = await connect()
    if ('refusal' in connected) return { kind: 'refused', refusal: connected.refusal }
    const { socket } = connected
    socket.on('error', () => {})
    const stop = () => socket.destroy()
    gone.signal.addEventListener('abort', stop, { once: true })
    try {
      if (cutBy !== undefined) return { kind: 'refused', refusal: cutShort(cutBy) }
      socket.write(withLength(order.head))
      const head = await readHead(socket)
      if (cutBy !== undefined) return { kind: 'refused', refusal: cutShort(cutBy) }
      if (head === undefined) {
        return { kind: 'refused', refusal: lostAfterForwarding(clusterName, 'no answer came') }
      }
      return head.status === 101 ? await splice(head, socket) : await relayRefusal(head, socket)
    } finally {
      gone.signal.removeEventListener('abort', stop)
      stop()
    }
  }

  async function connect() {
    try {
      return await order.tunnels.upgrade(order.clusterId, gone.signal)
    } catch (error) {
      if (cutBy !== undefined) return { refusal: cutShort(cutBy) }
      if (!(error instanceof TunnelError)) throw error
      return { refusal: clusterUnreachable(clusterName, error.message) }
    }
  }

  /** The status, headers and at most 64 KiB of what the cluster said instead; then both sides close. */
  async function relayRefusal(head: ResponseHead, socket: Duplex): Promise<Outcome> {
    const accepted = acceptUpgradeRefusal(head)
    if ('refusal' in accepted) return { kind: 'refused', refusal: accepted.refusal }
    const body = await readExactly(socket, REFUSAL_BYTES_MAX, ANSWER_TIMEOUT_MS, 'at-most')
    request.answer(accepted, body, { close: true })
    return { kind: 'answered', code: accepted.status, bytes: body.length, end: 'complete' }
  }

  async function splice(head: ResponseHead, cluster: Duplex): Promise<Outcome> {
    const wanted = request.head.upgrade ?? 'websocket'
    const session = wanted === 'websocket' ? webSocketSession(head) : spdySession(head)
    const client = request.switchProtocols(switchingHeaders(wanted, head))
    order.onStarted(101)
    let bytes = 0
    const end = await new Promise<FlowEnd>((onEnd) => {
      const toClient = new BatchWriter(cluster, client)
      const through = new CuttableStream({
        sink: {
          write(chunk) {
            toClient.write(chunk)
            // The cluster is held up by it.
            return true
          },
          end: () => toClient.end(),
          abort: () => client.destroy(),
        },
        framing: session.framing,
        lastWord: session.farewell(wayLost(clusterName)),
        onEnd(how) {
          bytes = through.bytes
          onEnd(how)
        },
      })
      cutNow = (why) => {
        through.cut(session.farewell(why))
        if (through.isOver) cluster.destroy()
      }
      carry(cluster, through, client, session)
    })
    await closed(client)
    const commandStatus = session.framing?.status.toString('utf8')
    return {
      kind: 'answered',
      code: 101,
      bytes,
      end,
      ...(cutBy === undefined ? {} : { cut: cutBy }),
      ...(commandStatus === undefined ? {} : { commandStatus }),
    }
  }

  return {
    done: run(),
    cut(why) {
      cutBy ??= why
      cutNow(why)
    },
  }
}

/** Joins the two connections: what the cluster says goes through what can be cut. */
function carry(
  cluster: Duplex,
  through: CuttableStream,
  client: Duplex,
  { saysItsEnd, framing }: UpgradedSession,
): void {
  client.on('error', () => {})
  client.on('finish', () => through.sent())
  // Who closes as soon as he has read the end has taken it.
  client.on('close', () => (through.isOver ? through.sent() : through.gone()))
  cluster.on('data', (chunk: Buffer) => {
    through.write(chunk)
    if (through.isOver) cluster.destroy()
  })
  // Anybody on the way can end a connection: where a Status is owed, an end without it is a loss. Who has
  // ended himself is owed nothing.
  const isWhole = () => framing?.hasEnded === true || client.readableEnded
  cluster.on('end', () => {
    if (isWhole() || !saysItsEnd) through.end()
    else through.lose()
  })
  cluster.on('close', () => {
    if (isWhole()) through.end()
    else through.lose()
  })
  cluster.resume()
  const toCluster = new BatchWriter(client, cluster)
  client.on('data', (chunk: Buffer) => {
    if (!through.isOver) toCluster.write(chunk)
  })
  client.on('end', () => toCluster.end())
  client.resume()
  // As kube-apiserver does: when the client is done so is the cluster, after its last bytes.
  client.once('end', () => destroyIn(CLOSING_MS, cluster))
}

type UpgradedSession = {
  readonly framing?: SessionFraming
  /** A Status comes before its end, whatever became of it. */
  readonly saysItsEnd: boolean
  farewell(why: Cut): Buffer | undefined
}

function webSocketSession(head: ResponseHead): UpgradedSession {
  const encoding = statusEncoding(headerValue(head.headers, 'sec-websocket-protocol'))
  return {
    framing: createWebSocketFraming(encoding),
    saysItsEnd: encoding !== undefined,
    farewell: (why) => webSocketFarewell(encoding, statusText(cutShort(why)), why.message),
  }
}

function spdySession(head: ResponseHead): UpgradedSession {
  // Port-forward has no stream for a message: it is just closed.
  if (!carriesStatus(headerValue(head.headers, 'x-stream-protocol-version'))) {
    return { saysItsEnd: false, farewell: () => undefined }
  }
  return {
    framing: createSpdyFraming(),
    saysItsEnd: true,
    farewell: (why) => spdyFarewell(statusText(cutShort(why))),
  }
}

/** Which of these it was shows nowhere: all of them just end the connection. */
function wayLost(clusterName: string): Cut {
  const what = `the connection to cluster "${clusterName}" broke, or its relay or agent was stopped`
  return { code: 503, message: `Postern ended this stream: ${what}. Start it again.` }
}

function switchingHeaders(protocol: UpgradeProtocol, { headers }: ResponseHead): HeaderLines {
  return [['Connection', 'Upgrade'], ['Upgrade', protocol], ...forwardableResponseHeaders(headers)]
}

function acceptUpgradeRefusal(head: ResponseHead) {
  // kube-apiserver treats an answer below 400 to an upgrade as an error, too.
  if (head.status < 400 && agentErrorOf(head) === undefined)
    return { refusal: badUpstream('it did not upgrade') }
  return acceptResponseHead(head)
}

async function readHead(socket: Duplex): Promise<ResponseHead | undefined> {
  try {
    const prefix = await readExactly(socket, 4, ANSWER_TIMEOUT_MS)
    const length = prefix.readUInt32BE(0)
    if (length > HEAD_BYTES_MAX) return undefined
    return parseResponseHead(await readExactly(socket, length, ANSWER_TIMEOUT_MS))
  } catch {
    // Lost or late: there is no answer.
    return undefined
  }
}

function withLength(head: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(4 + head.byteLength)
  framed.writeUInt32BE(head.byteLength, 0)
  framed.set(head, 4)
  return framed
}

/** Resolves when it is closed; whoever does not close his end is not waited for long. */
async function closed(client: Duplex): Promise<void> {
  if (client.destroyed) return
  destroyIn(CLOSING_MS, client)
  // Nobody reads it any more, and an end that is not read is not seen.
  client.resume()
  await new Promise<void>((resolve) => client.once('close', () => resolve()))
}

function destroyIn(ms: number, stream: Duplex): void {
  const timer = setTimeout(() => stream.destroy(), ms)
  stream.once('close', () => clearTimeout(timer))
}
