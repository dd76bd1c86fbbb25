import { createHash, randomBytes } from 'node:crypto'
import { Duplex } from 'node:stream'
import { callbackify } from 'node:util'
import { execPath, podPath } from '../raw/paths.ts'
import { createSpdyConversation, type SpdyConversation } from '../raw/spdy-conversation.ts'
import { askUpgrade } from '../raw/upgrade.ts'
import { openWebSocket, type WebSocketClient } from '../raw/websocket.ts'
import type { Exercise, Tool } from '../tool.ts'
import type { ClientWay } from '../ways.ts'

/** How SPDY names the versions of the remote command protocol. */
const VERSIONS = [
  'v5.channel.k8s.io',
  'v4.channel.k8s.io',
  'v3.channel.k8s.io',
  'v2.channel.k8s.io',
  'channel.k8s.io',
]
const OUTPUT = { stdout: 'true', stderr: 'true' }
const SCRIPT = 'echo out; echo err >&2; exit 7'
const STDIN_BYTES = 200_000
const PIECE_BYTES = 7_000

/** Answers how it was refused, where it was. */
async function converse(
  way: ClientWay,
  path: string,
  versions: readonly string[],
  talk: (conversation: SpdyConversation) => Promise<void>,
): Promise<string> {
  const answer = await askUpgrade(way, {
    method: 'POST',
    path,
    headers: { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': [...versions] },
  })
  if (answer.kind === 'refused') return `refused: ${answer.status} ${answer.text}`
  const conversation = createSpdyConversation(answer.socket)
  try {
    await talk(conversation)
    const chosen = answer.headers['x-stream-protocol-version']
    return `protocol: ${String(chosen)}\n${await conversation.rest()}`
  } finally {
    answer.socket.destroy()
  }
}

async function openStreams(conversation: SpdyConversation, ...names: readonly string[]) {
  for (const streamtype of names) await conversation.open(streamtype, { streamtype })
}

function execWith(title: string, versions: readonly string[]): Exercise {
  return {
    title,
    play: (way) =>
      converse(way, execPath(way, SCRIPT, OUTPUT), versions, (conversation) =>
        openStreams(conversation, 'error', 'stdout', 'stderr'),
      ),
  }
}

function stdinExercise(): Exercise {
  const input = randomBytes(STDIN_BYTES)
  const hash = createHash('sha256').update(input).digest('hex')
  return {
    title: 'stdin and its half-close',
    play: (way) =>
      converse(
        way,
        execPath(way, 'sha256sum', { ...OUTPUT, stdin: 'true' }),
        VERSIONS,
        async (conversation) => {
          await openStreams(conversation, 'error', 'stdin', 'stdout', 'stderr')
          for (let at = 0; at < input.length; at += PIECE_BYTES) {
            await conversation.send('stdin', input.subarray(at, at + PIECE_BYTES))
          }
          await conversation.end('stdin')
          await conversation.until(() => conversation.text('stdout').includes(hash))
        },
      ),
  }
}

const resizeExercise: Exercise = {
  title: 'resize of a terminal',
  play(way) {
    const script = 'until [ "$(stty size)" = "41 123" ]; do sleep 0.05; done; echo resized; exit 3'
    const path = execPath(way, script, { stdin: 'true', stdout: 'true', tty: 'true' })
    return converse(way, path, VERSIONS, async (conversation) => {
      await openStreams(conversation, 'error', 'stdin', 'stdout', 'resize')
      await conversation.send('resize', Buffer.from('{"Width":80,"Height":24}\n'))
      await conversation.send('resize', Buffer.from('{"Width":123,"Height":41}\n'))
    })
  },
}

const attachExercise: Exercise = {
  title: 'attach, and the client goes',
  play(way) {
    const path = podPath(way, 'echo', 'attach', { stdin: 'true', stdout: 'true' })
    return converse(way, path, VERSIONS, async (conversation) => {
      await openStreams(conversation, 'error', 'stdin', 'stdout')
      await conversation.send('stdin', Buffer.from('one\n'))
      await conversation.until(() => conversation.text('stdout').includes('heard one'))
      conversation.endConnection()
    })
  },
}

/** Two requests at a time, each on a pair of streams, as kubectl does it for each connection. */
async function askWeb(conversation: SpdyConversation): Promise<string> {
  const paths = ['/a', '/b']
  for (const [requestid, path] of paths.entries()) {
    const headers = { port: '8080', requestid: String(requestid) }
    await conversation.open(`error ${path}`, { streamtype: 'error', ...headers })
    await conversation.end(`error ${path}`)
    await conversation.open(path, { streamtype: 'data', ...headers })
    const request = `GET ${path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n`
    await conversation.send(path, Buffer.from(request))
  }
  await conversation.until(() =>
    paths.every((path) => conversation.text(path).includes(`hello ${path}`)),
  )
  return paths.map((path) => conversation.text(path).replace(/Date: .*/, '')).join('\n')
}

const portForwardExercise: Exercise = {
  title: 'port-forward',
  async play(way) {
    const answer = await askUpgrade(way, {
      method: 'POST',
      path: podPath(way, 'web', 'portforward', {}),
      headers: { upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'portforward.k8s.io' },
    })
    if (answer.kind === 'refused') throw new Error(answer.text)
    try {
      return await askWeb(createSpdyConversation(answer.socket))
    } finally {
      answer.socket.destroy()
    }
  },
}

const tunnelExercise: Exercise = {
  title: 'port-forward through the tunnel in a WebSocket (SPDY/3.1+portforward.k8s.io)',
  async play(way) {
    const socket = await openWebSocket(way, podPath(way, 'web', 'portforward', {}), {
      protocols: ['SPDY/3.1+portforward.k8s.io'],
    })
    try {
      return `${socket.subprotocol}\n${await askWeb(createSpdyConversation(tunnel(socket)))}`
    } finally {
      socket.destroy()
    }
  },
}

/** Boundaries of messages mean nothing, so they are put where no frame has one. */
const MESSAGE_BYTES = 5

function tunnel(socket: WebSocketClient): Duplex {
  const messages = socket.messages()
  return new Duplex({
    read() {
      messages.next().then(
        ({ done, value }) => this.push(done === true ? null : value),
        (error: unknown) => this.destroy(error instanceof Error ? error : undefined),
      )
    },
    write(chunk: Buffer, _encoding, done) {
      callbackify(() => sendInPieces(socket, chunk))(done)
    },
  })
}

async function sendInPieces(socket: WebSocketClient, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; at += MESSAGE_BYTES) {
    await socket.send(bytes.subarray(at, at + MESSAGE_BYTES))
  }
}

/** SPDY/3.1 as kubectl up to 1.30 and many an older client speak it. */
export const spdy: Tool = {
  id: 'spdy',
  name: 'SPDY',
  version: '3.1',
  pods: true,
  async prepare() {},
  exercises: [
    ...VERSIONS.map((version) => execWith(`exec with an exit code (${version})`, [version])),
    execWith('exec offering v5 to v1', VERSIONS),
    execWith('exec offering what nobody knows', ['v9.channel.k8s.io']),
    stdinExercise(),
    resizeExercise,
    attachExercise,
    portForwardExercise,
    tunnelExercise,
  ],
}
