import { createHash, type Hash } from 'node:crypto'
import { get } from 'node:https'
import { setTimeout } from 'node:timers/promises'
import { eventually } from '@postern/bootstrap'
import { send } from '@postern/e2e/support'
import { openChannels } from '../raw/channels.ts'
import { execPath, podPath } from '../raw/paths.ts'
import { createSpdySession } from '../raw/spdy.ts'
import { askUpgrade } from '../raw/upgrade.ts'
import { openWebSocket } from '../raw/websocket.ts'
import type { Tool } from '../tool.ts'
import type { ClientWay } from '../ways.ts'

const MIB = 1024 * 1024
const EXEC_MIB = 100
/** Less than a kubelet lets a log grow before it rotates it. */
const LOG_MIB = 8
const READY_MS_MAX = 120_000
/** A writer that did not get on in so many looks is at its end, or held up. */
const LOOKS = 8
const OUTPUT = { stdout: 'true', stderr: 'false' }
/** Not v5: of that kube-apiserver itself cuts off what a slow reader has not read at the end. */
const WEBSOCKET = 'v4.channel.k8s.io'

/** Writes so many MiB from a file, and how many it has written into another one. */
const writing = (name: string, mib: number) =>
  `head -c ${mib * MIB} /dev/urandom > ${name}; i=0; exec 3< ${name}
while [ $i -lt ${mib} ]; do head -c ${MIB} <&3; i=$((i+1)); echo $i > ${name}.written; done`

/** What a short command in the pod says. */
async function ask(way: ClientWay, script: string): Promise<string> {
  const socket = await openWebSocket(way, execPath(way, script, OUTPUT), { protocols: [WEBSOCKET] })
  const channels = openChannels(socket)
  try {
    await channels.rest()
    return channels.text(1).trim()
  } finally {
    socket.destroy()
  }
}

/** Resolves when no more can be written while nobody reads. How much that is is up to the kernel's buffers. */
async function untilHeldUp(way: ClientWay, name: string): Promise<void> {
  let written = -1
  let same = 0
  await eventually('the writer to be held up', READY_MS_MAX, async () => {
    const now = Number(await ask(way, `cat ${name}.written 2>/dev/null || echo -1`))
    same = now === written && now >= 0 ? same + 1 : 0
    written = now
    if (same < LOOKS) throw new Error(`it has written ${written} MiB`)
  })
}

/** How many bytes came, and whether they are those of the file. */
async function verdict(way: ClientWay, name: string, bytes: number, hash: Hash): Promise<string> {
  const wanted = await ask(way, `sha256sum < ${name}`)
  const isSame = wanted.startsWith(hash.digest('hex'))
  return `${bytes} bytes, ${isSame ? 'as they were written' : 'damaged'}`
}

async function overWebSocket(way: ClientWay, mib: number): Promise<string> {
  const path = execPath(way, writing('websocket', mib), OUTPUT)
  const socket = await openWebSocket(way, path, { protocols: [WEBSOCKET] })
  try {
    await untilHeldUp(way, 'websocket')
    const hash = createHash('sha256')
    let bytes = 0
    const messages = socket.messages()
    for (;;) {
      const { done, value } = await messages.next()
      if (done === true) return `${await verdict(way, 'websocket', bytes, hash)}, ${value}`
      if (value[0] !== 1) continue
      hash.update(value.subarray(1))
      bytes += value.length - 1
    }
  } finally {
    socket.destroy()
  }
}

async function overSpdy(way: ClientWay, mib: number): Promise<string> {
  const answer = await askUpgrade(way, {
    method: 'POST',
    path: execPath(way, writing('spdy', mib), OUTPUT),
    headers: { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'v4.channel.k8s.io' },
  })
  if (answer.kind === 'refused') throw new Error(answer.text)
  const session = createSpdySession(answer.socket)
  try {
    await session.open({ streamtype: 'error' })
    const stdout = await session.open({ streamtype: 'stdout' })
    await untilHeldUp(way, 'spdy')
    const hash = createHash('sha256')
    let bytes = 0
    const events = session.events()
    for (;;) {
      const { done, value } = await events.next()
      if (done === true) return `${await verdict(way, 'spdy', bytes, hash)}, ${value}`
      if (value.kind !== 'data' || value.stream !== stdout) continue
      hash.update(value.bytes)
      bytes += value.bytes.length
    }
  } finally {
    answer.socket.destroy()
  }
}

/** A pod that says so many MiB in lines, and keeps them in the file "said". */
async function makeSpeaker(way: ClientWay, name: string, mib: number): Promise<void> {
  const script = `head -c ${mib * MIB} /dev/urandom | base64 -w 8000 | head -c ${mib * MIB} > said; echo >> said; cat said; sleep infinity`
  const spec = {
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'c', image: 'c', command: ['sh', '-c', script] }],
  }
  const headers = { authorization: `Bearer ${way.token}`, 'content-type': 'application/json' }
  const pods = `${way.url}/api/v1/namespaces/${way.namespace}/pods`
  const body = JSON.stringify({ apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec })
  const made = await send(pods, way.ca, { path: '', method: 'POST', headers, body })
  if (made.status !== 201) throw new Error(made.text)
  await eventually(`pod ${name} to run`, READY_MS_MAX, async () => {
    const { text } = await send(`${pods}/${name}`, way.ca, { path: '', headers })
    if (!text.includes('"phase":"Running"')) throw new Error(text)
  })
}

/** Follows a log of so many MiB, slower than it is written, and leaves when it has all of it. */
async function followLogs(way: ClientWay, mib: number): Promise<string> {
  await makeSpeaker(way, 'speaker', mib)
  const wanted = mib * MIB + 1
  const url = `${way.url}${podPath(way, 'speaker', 'log', { container: 'c', follow: 'true' })}`
  const headers = { authorization: `Bearer ${way.token}` }
  const hash = createHash('sha256')
  let bytes = 0
  const request = get(url, { ca: way.ca, agent: false, headers })
  try {
    const response = await new Promise<AsyncIterable<Buffer>>((resolve, reject) => {
      request.on('response', resolve).on('error', reject)
    })
    let stopAt = MIB
    for await (const chunk of response) {
      hash.update(chunk)
      bytes += chunk.length
      if (bytes >= wanted) break
      if (bytes < stopAt) continue
      stopAt += MIB
      await setTimeout(20)
    }
  } finally {
    request.destroy()
  }
  const path = podPath(way, 'speaker', 'exec', { ...OUTPUT, command: ['sha256sum', 'said'] })
  const socket = await openWebSocket(way, path, { protocols: [WEBSOCKET] })
  const channels = openChannels(socket)
  await channels.rest()
  const isSame = channels.text(1).startsWith(hash.digest('hex'))
  return `${bytes} bytes, ${isSame ? 'as they were written' : 'damaged'}`
}

const HELD = 'to a reader that begins when no more can be written'

/** Readers that begin late, or are slower than what they read, and get every byte of it. */
export const slowReaders: Tool = {
  id: 'slow-readers',
  name: 'Slow readers',
  version: `${EXEC_MIB} MiB`,
  pods: true,
  async prepare() {},
  exercises: [
    { title: `exec over WebSocket ${HELD}`, play: (way) => overWebSocket(way, EXEC_MIB) },
    { title: `exec over SPDY ${HELD}`, play: (way) => overSpdy(way, EXEC_MIB) },
    { title: 'logs -f to a reader that is slower', play: (way) => followLogs(way, LOG_MIB) },
  ],
}
