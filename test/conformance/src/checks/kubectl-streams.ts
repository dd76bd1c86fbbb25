import { deepStrictEqual, ok } from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  annotation,
  eventually,
  isByAccount,
  readClusterAuditLog,
  startKubectl,
} from '@postern/bootstrap'
import { CLUSTER, type E2eWorld, recordsWhere } from '@postern/e2e/support'
import type { Check } from '../check.ts'
import { bytesOf } from '../client.ts'
import { expectMatch } from '../expect.ts'
import { grantedUser } from '../granted-user.ts'
import { openConnection, webSocketFrame } from '../open-connection.ts'

const POD = '/api/v1/namespaces/team/pods/box'
const COPIED_BYTES = 16 << 20
const STORED_MS_MAX = 60_000
const KNOWN_MS_MAX = 30_000
const SERVER = `require('http').createServer((q, s) => s.end('hello ' + q.url)).listen(8080, process.env.POD_IP)`
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==',
  'Origin: https://console.example',
]
type Protocol = 'websocket' | 'spdy'
const PROTOCOLS: readonly Protocol[] = ['websocket', 'spdy']

/** A kubectl of lead's in his namespace, that streams over this protocol. */
async function streaming(
  world: E2eWorld,
  protocol: Protocol,
  args: readonly string[],
  options: {
    readonly input?: string
    readonly user?: string
    readonly keepStdinOpen?: boolean
  } = {},
) {
  const { user = 'lead', ...stdin } = options
  await world.kubectlOf(user, CLUSTER)
  const flag = String(protocol === 'websocket')
  return startKubectl({
    program: world.kubectlProgram,
    kubeconfig: world.kubeconfigFile(user, CLUSTER),
    cacheDir: join(world.dir, `cache-${user}-${CLUSTER}`),
    args: ['-n', 'team', ...args],
    env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: flag, KUBECTL_PORT_FORWARD_WEBSOCKETS: flag },
    ...stdin,
  })
}

/** To the real cluster by its own host, without a library. */
async function openRaw(world: E2eWorld, target: string, lines: readonly string[], token: string) {
  const where = { host: `${CLUSTER}.postern.localhost`, token }
  const bytes = bytesOf(where, { target, lines: [...WEBSOCKET, ...lines] })
  await eventually('the gateway to know the token', KNOWN_MS_MAX, async () => {
    const { status, text } = await world.ask(token, { path: POD })
    if (status === 401) throw new Error(text)
  })
  return await openConnection({ gatewayPort: world.platform.ports.gateway, e2e: world }, bytes)
}

const commandOf = (...command: string[]) =>
  command.map((word) => `command=${encodeURIComponent(word)}`).join('&')

export const kubectlStreamChecks: readonly Check[] = [
  ...PROTOCOLS.map(
    (protocol): Check => ({
      id: protocol === 'websocket' ? 'UP-01' : 'UP-02',
      title: `kubectl exec over ${protocol}: output, errors and exit code are the command's; the cluster saw one ${protocol === 'websocket' ? 'get' : 'create'}`,
      async run(worlds) {
        const world = await worlds.cluster()
        const mark = randomBytes(8).toString('hex')
        const command = ['sh', '-c', `echo ${mark}; echo e >&2; exit 3`]
        const run = await streaming(world, protocol, ['exec', 'box', '--', ...command])
        const { code, stdout, stderr } = await run.ended
        deepStrictEqual({ code, stdout }, { code: 3, stdout: `${mark}\n` })
        expectMatch(stderr, /^e\n/)
        await eventually("the cluster's own record", STORED_MS_MAX, async () => {
          const verbs = readClusterAuditLog(world.cluster(CLUSTER))
            .filter((event) => isByAccount(event) && event.requestURI.includes(mark))
            .map(({ verb }) => verb)
          deepStrictEqual([...new Set(verbs)], [protocol === 'websocket' ? 'get' : 'create'])
        })
      },
    }),
  ),
  ...PROTOCOLS.map(
    (protocol): Check => ({
      id: 'UP-03',
      title: `over ${protocol} the end of input ends the command, and all that it still says arrives`,
      async run(worlds) {
        const world = await worlds.cluster()
        const input = randomBytes(750_000).toString('base64')
        const command = ['exec', '-i', 'box', '--', 'sh', '-c', 'cat; echo end']
        const run = await streaming(world, protocol, command, { input })
        const { code, stdout } = await run.ended
        ok(stdout === `${input}end\n`, `${stdout.length} of ${input.length} bytes`)
        deepStrictEqual(code, 0)
      },
    }),
  ),
  {
    id: 'UP-04',
    title: "each change of a terminal's size reaches the command",
    async run(worlds) {
      const world = await worlds.cluster()
      const { secret } = await world.token('lead')
      const command = commandOf('sh', '-c', 'while sleep 0.1; do stty size; done')
      const target = `${POD}/exec?${command}&stdin=true&stdout=true&tty=true`
      const protocol = 'Sec-WebSocket-Protocol: v5.channel.k8s.io'
      const client = await openRaw(world, target, [protocol], secret)
      await client.until('a terminal', () => /101 Switching/.test(client.text()))
      for (const [Width, Height] of [
        [100, 30],
        [133, 41],
      ]) {
        const frame = webSocketFrame(`\u0004${JSON.stringify({ Width, Height })}\n`)
        client.socket.write(frame)
        await client.until('its size', () => client.text().includes(`${Height} ${Width}`))
      }
      client.close()
    },
  },
  ...(['UP-05', 'AU-08'] as const).map(
    (id): Check => ({
      id,
      title:
        id === 'UP-05'
          ? 'who may get but not create pods/exec is refused over both protocols, and kubectl says why'
          : 'the two tries of a kubectl exec that is denied are two records with one session of kubectl',
      async run(worlds) {
        const world = await worlds.cluster()
        const user = 'looker'
        const rules = [{ verbs: ['get'], apiGroups: [''], resources: ['pods', 'pods/exec'] }]
        await grantedUser(world, { name: user, cluster: CLUSTER, rules, namespaces: ['team'] })
        const mark = randomBytes(8).toString('hex')
        for (const protocol of PROTOCOLS) {
          const args = ['exec', 'box', '--', 'echo', `${mark}-${protocol}`]
          const { code, stderr } = await (await streaming(world, protocol, args, { user })).ended
          deepStrictEqual(code, 1)
          expectMatch(stderr, /User "looker" cannot create resource "pods\/exec".*grant "looker"/)
        }
        await eventually('the records', STORED_MS_MAX, async () => {
          const records = (await recordsWhere(world, `user=${user}`)).filter(({ requestURI }) =>
            requestURI.includes(mark),
          )
          deepStrictEqual(
            records.map(({ verb }) => verb),
            ['get', 'create', 'create'],
          )
          const sessions = records.map((record) => annotation(record, 'kubectl-session'))
          ok(sessions[0] !== '' && sessions[0] === sessions[1], sessions.join())
          deepStrictEqual(
            new Set(records.map((one) => annotation(one, 'decision'))),
            new Set(['deny']),
          )
        })
        const seen = readClusterAuditLog(world.cluster(CLUSTER))
        deepStrictEqual(
          seen.filter(({ requestURI }) => requestURI.includes(mark)),
          [],
        )
      },
    }),
  ),
  {
    id: 'UP-10',
    title:
      'port-forward carries one connection after the other, over the SPDY tunnel in WebSocket and over SPDY',
    async run(worlds) {
      const world = await worlds.cluster()
      const { kubectl } = world.cluster(CLUSTER)
      const container = { name: 'c', image: 'c', command: [process.execPath, '-e', SERVER] }
      const pod = {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'hello', namespace: 'team' },
        spec: { terminationGracePeriodSeconds: 0, containers: [container] },
      }
      await kubectl.ok(['apply', '-f', '-'], JSON.stringify(pod))
      await kubectl.ok([
        'wait',
        '-n',
        'team',
        '--for=condition=Ready',
        'pod/hello',
        '--timeout=60s',
      ])
      for (const protocol of PROTOCOLS) {
        const forward = await streaming(world, protocol, ['port-forward', 'pod/hello', ':8080'])
        const line = await forward.untilOutput(/Forwarding from 127\.0\.0\.1:(\d+)/)
        const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1] ?? ''
        for (const path of ['/a', '/b', '/c']) {
          await eventually(`the server to answer ${path}`, STORED_MS_MAX, async () => {
            const response = await fetch(`http://127.0.0.1:${port}${path}`)
            deepStrictEqual(await response.text(), `hello ${path}`)
          })
        }
        await forward.kill()
      }
    },
  },
  {
    id: 'UP-11',
    title: `kubectl cp to a pod and back, ${COPIED_BYTES >> 20} MiB over both protocols: the same bytes`,
    async run(worlds) {
      const world = await worlds.cluster()
      const folder = join(world.dir, 'copied')
      mkdirSync(folder, { recursive: true })
      const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
      for (const protocol of PROTOCOLS) {
        const bytes = randomBytes(COPIED_BYTES)
        const [there, back] = [join(folder, protocol), join(folder, `${protocol}-back`)]
        writeFileSync(there, bytes)
        for (const args of [
          ['cp', there, `team/box:tmp/${protocol}`],
          ['cp', `team/box:tmp/${protocol}`, back],
        ]) {
          const { code, stderr } = await (await streaming(world, protocol, args)).ended
          deepStrictEqual(
            { args, code, stderr: code === 0 ? '' : stderr },
            { args, code: 0, stderr: '' },
          )
        }
        deepStrictEqual(hash(readFileSync(back)), hash(bytes))
      }
    },
  },
  ...PROTOCOLS.map(
    (protocol): Check => ({
      id: 'UP-15',
      title: `a revocation ends a running exec over ${protocol} with its reason, and kubectl fails with it`,
      async run(worlds) {
        const world = await worlds.cluster()
        const user = `cut-${protocol}`
        const rules = [
          { verbs: ['get', 'create'], apiGroups: [''], resources: ['pods', 'pods/exec'] },
        ]
        await grantedUser(world, { name: user, cluster: CLUSTER, rules, namespaces: ['team'] })
        const args = ['exec', '-i', 'box', '--', 'sh', '-c', 'echo begun; cat']
        const run = await streaming(world, protocol, args, { user, keepStdinOpen: true })
        await run.untilOutput('begun')
        await world.admin.api.call('DELETE', `/v1/grants/${user}`)
        const { code, stderr } = await run.ended
        ok(code !== 0, 'it ended as if it were done')
        expectMatch(stderr, /no grant|forbidden/)
      },
    }),
  ),
  {
    id: 'UP-18',
    title: 'a watch over WebSocket is a watch: with the origin of its page, as frames',
    async run(worlds) {
      const world = await worlds.cluster()
      const { secret } = await world.token('lead')
      const target = '/api/v1/namespaces/team/pods?watch=true&timeoutSeconds=1'
      const client = await openRaw(world, target, [], secret)
      await client.until('an event', () => client.rest().includes('"type":"ADDED"'))
      expectMatch(client.text(), /^HTTP\/1\.1 101 /)
      client.close()
    },
  },
]
