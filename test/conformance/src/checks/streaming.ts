import { deepStrictEqual, ok } from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { gunzipSync, gzipSync } from 'node:zlib'
import { CLUSTER, send } from '@postern/e2e/support'
import type { Check, Generated } from '../check.ts'
import { bytesOf, overHttp1, type Reply, rawly } from '../client.ts'
import { expectMatch, expectStatus } from '../expect.ts'
import { openConnection } from '../open-connection.ts'
import { openHttp2Stream } from '../open-http2-stream.ts'
import type { RecordingWorld } from '../recording/recording-world.ts'
import { idle } from '../time.ts'

const TEAM = '/api/v1/namespaces/team'
const PODS = `${TEAM}/pods`
const WATCH = `${PODS}?watch=true`
const LOGS = `${PODS}/p/log?follow=true`
const EVENTS = 12
/** What a client that left asked for has ended at the cluster by then. */
const ENDED_MS_MAX = 30_000

const event = (number: number) =>
  `${JSON.stringify({ type: 'ADDED', object: { kind: 'Pod', metadata: { name: `pod-${number}-` } } })}\n`

/** The API server begins an answer and lets the check go on with it. */
function heldAnswer(
  world: RecordingWorld,
  headers: Readonly<Record<string, string>> = { 'content-type': 'application/json' },
): Promise<ServerResponse> {
  return new Promise((resolve) => {
    world.api.handlers.request = (_arrived, response) => {
      response.on('error', () => {})
      response.writeHead(200, headers).flushHeaders()
      resolve(response)
    }
  })
}

async function opened(world: RecordingWorld, target: string, headers?: Record<string, string>) {
  const held = heldAnswer(world, headers)
  const client = await openConnection(world, bytesOf(world, { target }))
  const response = await held
  await client.until('the head, before anything else', () => client.text().includes('\r\n\r\n'))
  return { client, response }
}

/** The same body whatever it is, and the head that describes it. */
async function answeredWith(
  world: RecordingWorld,
  order: { target?: string; lines?: string[] },
  answer: { status?: number; headers: Record<string, string>; body: Buffer },
): Promise<Reply> {
  world.api.reset()
  const { status = 200, headers, body } = answer
  const length = { 'content-length': String(body.length) }
  world.api.handlers.request = (_arrived, response) => {
    response.writeHead(status, { ...headers, ...length }).end(body)
  }
  const reply = await overHttp1(world, { target: WATCH, ...order })
  expectStatus(reply, status)
  const end = reply.text.indexOf('\r\n\r\n') + 4
  ok(Buffer.from(reply.text.slice(end), 'latin1').equals(body), 'the body is another one')
  for (const [name, value] of Object.entries(headers)) {
    const line = new RegExp(`^${name}: (.*)\r$`, 'im').exec(reply.text)
    deepStrictEqual({ name, value: line?.[1] }, { name, value })
  }
  return reply
}

export function streamingChecks({ idleSeconds }: Generated): Check[] {
  return [
    {
      id: 'ST-01',
      title: 'no event of a watch waits for the next: each is there before the next is made',
      async run(worlds) {
        const world = await worlds.recording()
        const { client, response } = await opened(world, WATCH)
        for (let number = 0; number < EVENTS; number += 1) {
          response.write(event(number))
          await client.until(`event ${number}`, () => client.text().includes(`pod-${number}-`))
        }
        client.close()
      },
    },
    {
      id: 'ST-02',
      title: 'the head of a watch is there before its first event, over h1 and h2',
      async run(worlds) {
        const world = await worlds.recording()
        const { client } = await opened(world, WATCH)
        expectMatch(client.text(), /^HTTP\/1\.1 200 /)
        client.close()
        void heldAnswer(world)
        const stream = openHttp2Stream(world, { target: WATCH })
        await stream.until('a head', () => stream.status() === 200)
        deepStrictEqual(stream.text(), '')
        stream.close()
      },
    },
    {
      id: 'ST-03',
      title: 'a list that is watched ends with its bookmark (WatchList)',
      async run(worlds) {
        const world = await worlds.cluster()
        const { secret } = await world.token('lead')
        const query =
          'watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1'
        const { status, text } = await world.ask(secret, { path: `${PODS}?${query}` })
        deepStrictEqual(status, 200, text)
        expectMatch(text, /"type":"ADDED".*"type":"BOOKMARK".*k8s\.io\/initial-events-end/s)
      },
    },
    {
      id: 'ST-04',
      title: 'what a list or watch is asked with arrives letter for letter, opaque tokens too',
      async run(worlds) {
        const world = await worlds.recording()
        for (const query of [
          'limit=2&continue=eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ%3D%3D&resourceVersion=10',
          `continue=${'x%2F'.repeat(2_000)}`,
          'watch=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&sendInitialEvents=true&timeoutSeconds=324',
          'shardSelector=shardRange(object.metadata.uid,%20%270%27)&labelSelector=a%20in%20(b,c)',
          'x=1&x=2&%78=3&empty&also=&resourceVersion=0',
        ]) {
          world.api.reset()
          world.api.handlers.request = (_arrived, response) => void response.end('{}')
          const target = `${PODS}?${query}`
          expectStatus(await overHttp1(world, { target }), 200)
          deepStrictEqual(
            world.api.arrived.map((one) => one.target),
            [target],
          )
        }
      },
    },
    {
      id: 'ST-04',
      title: 'kubectl reads a list in pages: all of it, each once',
      async run(worlds) {
        const world = await worlds.cluster()
        const kubectl = await world.kubectlOf('lead', CLUSTER)
        for (const name of ['page-a', 'page-b', 'page-c']) {
          await kubectl.run(['create', 'configmap', name, '-n', 'team'])
        }
        const list = ['get', 'configmaps', '-n', 'team', '-o', 'name']
        const whole = await kubectl.ok(list)
        expectMatch(whole, /page-a.*page-c/s)
        deepStrictEqual(await kubectl.ok([...list, '--chunk-size=1']), whole)
      },
    },
    {
      id: 'ST-05',
      title: 'that a version is gone arrives as it was said: as an answer, and as an event',
      async run(worlds) {
        const world = await worlds.recording()
        const gone = { kind: 'Status', apiVersion: 'v1', reason: 'Expired', code: 410 }
        const headers = { 'content-type': 'application/json' }
        const answer = { status: 410, headers, body: Buffer.from(JSON.stringify(gone)) }
        await answeredWith(world, {}, answer)
        const body = Buffer.from(`${JSON.stringify({ type: 'ERROR', object: gone })}\n`)
        await answeredWith(world, {}, { headers, body })
      },
    },
    {
      id: 'ST-06',
      title: 'a compressed list is the bytes that the cluster made',
      async run(worlds) {
        const world = await worlds.recording()
        const headers = {
          'content-type': 'application/json',
          'content-encoding': 'gzip',
          vary: 'Accept-Encoding, Accept',
        }
        const body = gzipSync(randomBytes(200_000).toString('base64'))
        const lines = ['Accept-Encoding: gzip']
        await answeredWith(world, { target: PODS, lines }, { headers, body })
        deepStrictEqual(
          world.api.arrived[0]?.headers.filter(([name]) => /^accept-enc/i.test(name)),
          [['Accept-Encoding', 'gzip']],
        )
      },
    },
    {
      id: 'ST-07',
      title: 'a watch in gzip members shows each event when it is flushed',
      async run(worlds) {
        const world = await worlds.recording()
        const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
        const { client, response } = await opened(world, WATCH, headers)
        let expected = ''
        for (let number = 0; number < EVENTS / 3; number += 1) {
          expected += event(number)
          response.write(gzipSync(event(number)))
          await client.until(`event ${number}`, () => unzipped(client.rest()) === expected)
        }
        client.close()
      },
    },
    {
      id: 'ST-08',
      title: 'what encoding a client wants is said as it said it, and what comes is not touched',
      async run(worlds) {
        const world = await worlds.recording()
        const body = randomBytes(30_000)
        for (const type of [
          'application/vnd.kubernetes.protobuf;stream=watch',
          'application/vnd.kubernetes.protobuf',
          'application/cbor-seq',
          'application/cbor',
          'application/yaml',
          'application/json;as=Table;v=v1;g=meta.k8s.io',
          'text/plain',
        ]) {
          const lines = [`Accept: ${type},*/*;q=0.1`]
          await answeredWith(world, { lines }, { headers: { 'content-type': type }, body })
          const accepted = world.api.arrived[0]?.headers.filter(([name]) => name === 'Accept')
          deepStrictEqual(accepted, [['Accept', `${type},*/*;q=0.1`]])
        }
      },
    },
    {
      id: 'ST-09',
      title: 'discovery is negotiated with the cluster alone: versions, ETag, 304, Vary',
      async run(worlds) {
        const world = await worlds.cluster()
        const { kubectl, server, ca } = world.cluster(CLUSTER)
        const { secret } = await world.token('lead')
        const direct = (await kubectl.ok(['create', 'token', 'default', '-n', 'team'])).trim()
        const authority = readFileSync(ca, 'utf8')
        const accept =
          'application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json'
        for (const path of ['/api?timeout=32s', '/apis?timeout=32s', '/openapi/v3', '/version']) {
          const headers = { accept, authorization: `Bearer ${direct}` }
          const theirs = await send(server + path, authority, { path: '', headers })
          const ours = await world.ask(secret, { path, headers: { accept } })
          for (const name of ['etag', 'vary', 'cache-control', 'content-type', 'last-modified']) {
            deepStrictEqual([path, name, ours.headers[name]], [path, name, theirs.headers[name]])
          }
          deepStrictEqual([path, ours.text], [path, theirs.text])
          const { etag } = theirs.headers
          if (typeof etag !== 'string') continue
          const again = { accept, 'if-none-match': etag }
          const second = await world.ask(secret, { path, headers: again })
          deepStrictEqual({ path, status: second.status }, { path, status: 304 })
        }
        const aggregated = await world.ask(secret, { path: '/apis', headers: { accept } })
        expectMatch(aggregated.text, /"kind":"APIGroupDiscoveryList"/)
      },
    },
    {
      id: 'ST-10',
      title: 'an answer that breaks in the middle breaks at the client: never a clean end',
      async run(worlds) {
        const world = await worlds.recording()
        const { client, response } = await opened(world, LOGS, { 'content-type': 'text/plain' })
        response.write('half a line')
        await client.until('the half', () => client.text().includes('half a line'))
        response.destroy()
        await client.untilClosed()
        ok(!client.text().endsWith('0\r\n\r\n'), 'it ended as if it were whole')
        const held = heldAnswer(world, { 'content-type': 'text/plain' })
        const stream = openHttp2Stream(world, { target: LOGS })
        const other = await held
        other.write('half a line')
        await stream.until('the half', () => stream.text() === 'half a line')
        other.destroy()
        await stream.until('the end', () => stream.reset() !== undefined)
        ok(stream.reset() !== 0, 'the stream ended as if it were whole')
      },
    },
    {
      id: 'ST-11',
      title: 'when a client goes away what it asked for is ended at the cluster, over h1 and h2',
      async run(worlds) {
        const world = await worlds.recording()
        const { client, response } = await opened(world, WATCH)
        const ended = once(response, 'close', { signal: AbortSignal.timeout(ENDED_MS_MAX) })
        client.close()
        await ended
        const held = heldAnswer(world)
        const stream = openHttp2Stream(world, { target: WATCH })
        const other = await held
        const closed = once(other, 'close', { signal: AbortSignal.timeout(ENDED_MS_MAX) })
        stream.close()
        await closed
      },
    },
    {
      id: 'ST-13',
      title: `a watch in which nothing happens for ${idleSeconds} s is still one`,
      async run(worlds) {
        const world = await worlds.recording()
        const { client, response } = await opened(world, WATCH)
        const held = heldAnswer(world)
        const stream = openHttp2Stream(world, { target: WATCH })
        const other = await held
        await idle(idleSeconds)
        response.write(event(1))
        other.write(event(2))
        await client.until('the event', () => client.text().includes('pod-1-'))
        await stream.until('the event', () => stream.text().includes('pod-2-'))
        client.close()
        stream.close()
      },
    },
    {
      id: 'ST-14',
      title:
        'a revocation ends watches with an ERROR event and a clean end; the next request is 401',
      async run(worlds) {
        const world = await worlds.recording()
        const rules = [{ verbs: ['watch'], apiGroups: [''], resources: ['pods'] }]
        await world.user('watcher', rules, ['team'])
        const { secret: token, id } = await world.e2e.token('watcher')
        world.api.handlers.request = (_arrived, response) => {
          response.writeHead(200, { 'content-type': 'application/json' }).write(event(0))
        }
        const open = () => openConnection(world, bytesOf(world, { target: WATCH, token }))
        const watches = [await open(), await open(), await open()]
        for (const watch of watches) {
          await watch.until('an event', () => watch.text().includes('pod-0-'))
        }
        await world.e2e.admin.api.call('DELETE', `/v1/tokens/${id}`)
        for (const watch of watches) {
          await watch.until('the last event', () => watch.text().endsWith('\r\n0\r\n\r\n'))
          expectMatch(watch.text(), /"type":"ERROR".*"kind":"Status".*"code":40[13]/s)
          watch.close()
        }
        const next = await rawly(
          world,
          bytesOf(world, { target: WATCH, token, lines: ['Connection: close'] }),
        )
        expectStatus(next, 401)
      },
    },
  ]
}

/** What of chunked gzip members is whole; "" as long as nothing is. */
function unzipped(chunked: string): string {
  try {
    return gunzipSync(dechunked(Buffer.from(chunked, 'latin1'))).toString()
  } catch {
    return ''
  }
}

function dechunked(bytes: Buffer): Buffer {
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const length = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    chunks.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length))
    at = lineEnd + 2 + length + 2
  }
  return Buffer.concat(chunks)
}
