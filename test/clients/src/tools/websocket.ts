import { createHash, randomBytes } from 'node:crypto'
import { Channel, type Channels, openChannels } from '../raw/channels.ts'
import { execPath, podPath } from '../raw/paths.ts'
import { openWebSocket, RefusedError } from '../raw/websocket.ts'
import type { Exercise, Tool } from '../tool.ts'
import type { ClientWay } from '../ways.ts'

const V5 = 'v5.channel.k8s.io'
const V4 = 'v4.channel.k8s.io'
const V4_BASE64 = 'v4.base64.channel.k8s.io'
const V1 = 'channel.k8s.io'
const SPOKEN = [V5, V4, V1, V4_BASE64, 'base64.channel.k8s.io']
/** Versions that there are over SPDY alone. */
const SPDY_ONLY = ['v3.channel.k8s.io', 'v2.channel.k8s.io']
const OUTPUT = { stdout: 'true', stderr: 'true' }
const STDIN_BYTES = 200_000
const PIECE_BYTES = 7_000

type Options = Omit<Parameters<typeof openWebSocket>[2], 'protocols'>

/** Answers how it was refused, where it was. */
async function converse(
  way: ClientWay,
  path: string,
  protocols: readonly string[],
  talk: (channels: Channels) => Promise<void> = async () => {},
  options: Options = {},
): Promise<string> {
  try {
    const socket = await openWebSocket(way, path, { protocols, ...options })
    const channels = openChannels(socket)
    try {
      await talk(channels)
      return `${await channels.rest()}\nextensions: ${socket.extensions}`
    } finally {
      socket.destroy()
    }
  } catch (error) {
    if (error instanceof RefusedError) return `refused: ${error.message}`
    throw error
  }
}

const SCRIPT = 'echo out; echo err >&2; exit 7'

function execWith(title: string, protocols: readonly string[], expected: RegExp): Exercise {
  return {
    title,
    async play(way) {
      const said = await converse(way, execPath(way, SCRIPT, OUTPUT), protocols)
      if (!expected.test(said)) throw new Error(`not ${expected.source}: ${said}`)
      return said
    },
  }
}

/** The command must get all of its input, and an end of it where the protocol has one. */
function stdinWith(protocol: string): Exercise {
  const input = randomBytes(STDIN_BYTES)
  const hash = createHash('sha256').update(input).digest('hex')
  const ends = protocol === V5
  return {
    title: ends ? `stdin and its half-close (${protocol})` : `stdin (${protocol})`,
    async play(way) {
      const script = ends ? 'sha256sum' : `head -c ${STDIN_BYTES} | sha256sum`
      const path = execPath(way, script, { ...OUTPUT, stdin: 'true' })
      return await converse(way, path, [protocol], async (channels) => {
        for (let at = 0; at < input.length; at += PIECE_BYTES) {
          await channels.send(Channel.stdin, input.subarray(at, at + PIECE_BYTES))
        }
        if (ends) await channels.send(Channel.close, Buffer.from([Channel.stdin]))
        await channels.until(() => channels.text(Channel.stdout).includes(hash))
      })
    },
  }
}

function resizeWith(protocol: string): Exercise {
  return {
    title: `resize of a terminal (${protocol})`,
    async play(way) {
      const script =
        'until [ "$(stty size)" = "41 123" ]; do sleep 0.05; done; echo resized; exit 3'
      const path = execPath(way, script, { stdin: 'true', stdout: 'true', tty: 'true' })
      return await converse(way, path, [protocol], async (channels) => {
        await channels.send(Channel.resize, Buffer.from('{"Width":80,"Height":24}\n'))
        await channels.send(Channel.resize, Buffer.from('{"Width":123,"Height":41}\n'))
      })
    },
  }
}

function attachWith(protocol: string): Exercise {
  return {
    title: `attach, and Close by the client (${protocol})`,
    async play(way) {
      const path = podPath(way, 'echo', 'attach', { stdin: 'true', stdout: 'true' })
      const socket = await openWebSocket(way, path, { protocols: [protocol] })
      const channels = openChannels(socket)
      try {
        await channels.send(Channel.stdin, Buffer.from('one\n'))
        await channels.until(() => channels.text(Channel.stdout).includes('heard one'))
        await socket.send(Buffer.from([0x03, 0xe8]), 8)
        return await channels.rest()
      } finally {
        socket.destroy()
      }
    },
  }
}

/** A stream of data and one of errors, each opened by the port's number. */
function portForwardWith(protocol: string): Exercise {
  return {
    title: `port-forward (${protocol})`,
    async play(way) {
      const path = podPath(way, 'web', 'portforward', { ports: '8080' })
      const request = 'GET /a HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n'
      return await converse(way, path, [protocol], async (channels) => {
        await channels.send(0, Buffer.from(request))
        await channels.until(() => channels.text(0).includes('hello /a'))
      }).then((said) => said.replaceAll(/Date: .*/g, ''))
    },
  }
}

/** Resources that are no streams of commands can be read over WebSocket too. */
function readWith(title: string, protocol: string, pathOf: (way: ClientWay) => string): Exercise {
  return {
    title: `${title} (${protocol === '' ? 'no sub-protocol' : protocol})`,
    async play(way) {
      const protocols = protocol === '' ? [] : [protocol]
      const headers = { origin: way.url }
      const socket = await openWebSocket(way, pathOf(way), { protocols, headers })
      try {
        const messages: string[] = []
        for await (const message of socket.messages()) messages.push(message.toString())
        const text = protocol.startsWith('base64')
          ? messages.map((message) => Buffer.from(message, 'base64').toString())
          : messages
        return `${socket.subprotocol}\n${text.join('').replaceAll(/"resourceVersion":"\d+"/g, '')}`
      } finally {
        socket.destroy()
      }
    },
  }
}

const logPath = (way: ClientWay) => podPath(way, 'talk', 'log', { container: 'c' })
const watchPath = (way: ClientWay) =>
  `/api/v1/namespaces/${way.namespace}/serviceaccounts?watch=true&timeoutSeconds=1&fieldSelector=metadata.name%3Ddefault`

/** RFC 6455 with the sub-protocols of Kubernetes, as a browser or any library speaks it. */
export const webSocket: Tool = {
  id: 'websocket',
  name: 'WebSocket',
  version: 'RFC 6455',
  pods: true,
  async prepare() {},
  exercises: [
    ...SPOKEN.map((protocol) =>
      execWith(`exec with an exit code (${protocol})`, [protocol], /^1: out\n\n2: err\n\n3: .*7/m),
    ),
    ...SPDY_ONLY.map((protocol) =>
      execWith(`exec refused, as by kube-apiserver (${protocol})`, [protocol], /^refused: 403/),
    ),
    execWith('exec without a sub-protocol', [], /^1: out\n\n2: err\n/m),
    execWith('exec offering v5 to v1', [V5, V4, ...SPDY_ONLY, V1], /^protocol: v5/),
    {
      title: 'exec with the token in a sub-protocol (base64url.bearer.authorization.k8s.io)',
      async play(way) {
        const encoded = Buffer.from(way.token).toString('base64url')
        const protocols = [`base64url.bearer.authorization.k8s.io.${encoded}`, V5]
        const path = execPath(way, SCRIPT, OUTPUT)
        return await converse(way, path, protocols, undefined, { token: false })
      },
    },
    {
      title: 'exec offering compression',
      play: (way) =>
        converse(way, execPath(way, SCRIPT, OUTPUT), [V5], undefined, {
          headers: { 'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits' },
        }),
    },
    ...[V5, V4, V4_BASE64].map(stdinWith),
    ...[V5, V4, V4_BASE64].map(resizeWith),
    ...[V5, V4].map(attachWith),
    ...[V4, V4_BASE64].map(portForwardWith),
    readWith('log', 'binary.k8s.io', logPath),
    readWith('log', 'base64.binary.k8s.io', logPath),
    readWith('watch', '', watchPath),
  ],
}
