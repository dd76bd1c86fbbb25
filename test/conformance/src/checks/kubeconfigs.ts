import { deepStrictEqual, ok } from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createKubectl, eventually } from '@postern/bootstrap'
import { CLUSTER, type E2eWorld, foreignAuthority } from '@postern/e2e/support'
import type { Check } from '../check.ts'
import { overHttp1 } from '../client.ts'
import { expectMatch, expectStatus } from '../expect.ts'
import { WHOLE } from '../worlds.ts'

const CA_DATA = /certificate-authority-data: (\S+)/
const onPods = [{ verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', 'pods/log'] }]
const ONLINE_MS_MAX = 60_000

/** A kubectl with this kubeconfig, or several that it merges. */
function kubectlWith(world: E2eWorld, name: string, ...files: readonly string[]) {
  const paths = files.map((text, at) => {
    const path = join(world.dir, `${name}-${at}.kubeconfig`)
    writeFileSync(path, text, { mode: 0o600 })
    return path
  })
  const cacheDir = join(world.dir, `cache-${name}`)
  return createKubectl({ program: world.kubectlProgram, kubeconfig: paths.join(':'), cacheDir })
}

/** What lead downloads for the one cluster. */
async function downloaded(world: E2eWorld): Promise<string> {
  await world.kubectlOf('lead', CLUSTER)
  return readFileSync(world.kubeconfigFile('lead', CLUSTER), 'utf8')
}

/** An HTTP proxy that knows CONNECT, to this one port and for whoever has the password. */
async function startProxy(port: number) {
  const asked: string[] = []
  const proxy = createServer((_request, response) => void response.writeHead(405).end())
  proxy.on('connect', (request, socket, head) => {
    socket.on('error', () => {})
    const { url = '', headers } = request
    asked.push(`${url} ${headers['proxy-authorization'] ?? ''}`)
    const isAllowed = url.endsWith(`:${port}`) && headers['proxy-authorization'] !== undefined
    if (!isAllowed) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n')
      return
    }
    const upstream = connect({ host: '127.0.0.1', port }, () => {
      socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
      if (head.length > 0) upstream.write(head)
      upstream.pipe(socket).pipe(upstream)
    })
    upstream.on('error', () => socket.destroy())
    socket.on('close', () => upstream.destroy())
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  const address = proxy.address()
  const own = typeof address === 'object' && address !== null ? address.port : 0
  return {
    asked,
    url: `http://user:secret@127.0.0.1:${own}`,
    close() {
      proxy.close()
      proxy.closeAllConnections()
    },
  }
}

export const kubeconfigChecks: readonly Check[] = [
  {
    id: 'KC-01',
    title:
      'one kubeconfig for every cluster of a user merges with his own file: no name of it is taken, every context works',
    async run(worlds) {
      const world = await worlds.wholeCluster()
      const { api } = world.admin
      await world.createUser('fleet')
      await api.call('POST', '/v1/roles', { name: 'fleet', rules: onPods })
      const where = { clusters: [CLUSTER, WHOLE], namespaces: { all: true } }
      const terms = { subjects: ['user:fleet'], role: 'fleet', ...where }
      await api.call('POST', '/v1/grants', { name: 'fleet', terms })
      const { secret } = await world.token('fleet')
      const fleet = await api.withToken(secret).text('/v1/kubeconfig')
      const own = [
        'apiVersion: v1',
        'kind: Config',
        'current-context: mine',
        'clusters:',
        ...[CLUSTER, WHOLE, 'mine'].map(
          (name) => `- {name: ${name}, cluster: {server: "https://127.0.0.1:1"}}`,
        ),
        'users:',
        ...['fleet', 'mine'].map((name) => `- {name: ${name}, user: {token: nothing}}`),
        'contexts:',
        ...[CLUSTER, WHOLE, 'mine'].map(
          (name) => `- {name: ${name}, context: {cluster: ${name}, user: mine}}`,
        ),
      ].join('\n')
      const kubectl = kubectlWith(world, 'fleet', own, fleet)
      deepStrictEqual((await kubectl.ok(['config', 'current-context'])).trim(), 'mine')
      const contexts = (await kubectl.ok(['config', 'get-contexts', '-o', 'name']))
        .trim()
        .split('\n')
      deepStrictEqual(contexts.length, 5)
      for (const context of contexts.filter((name) => name.includes('-'))) {
        await eventually(`${context} to work`, ONLINE_MS_MAX, () =>
          kubectl.ok(['--context', context, 'get', 'pods', '-n', 'default']),
        )
      }
      deepStrictEqual(
        contexts.filter((name) => !name.includes('-')).toSorted(),
        [CLUSTER, WHOLE, 'mine'].toSorted(),
      )
    },
  },
  {
    id: 'KC-02',
    title:
      "through a CONNECT proxy kubectl works, exec and all, and the proxy's password goes no further",
    async run(worlds) {
      const world = await worlds.cluster()
      const proxy = await startProxy(world.platform.ports.gateway)
      try {
        const file = (await downloaded(world)).replace(
          /^( +)(server: .*)$/m,
          `$1$2\n$1proxy-url: ${proxy.url}`,
        )
        const kubectl = kubectlWith(world, 'proxied', file)
        await kubectl.ok(['get', 'pods', '-n', 'team'])
        const said = await kubectl.ok(['exec', 'box', '-n', 'team', '--', 'echo', 'through'])
        deepStrictEqual(said, 'through\n')
        ok(proxy.asked.length >= 2, proxy.asked.join('\n'))
        for (const line of proxy.asked) expectMatch(line, / Basic /)
      } finally {
        proxy.close()
      }
      const recording = await worlds.recording()
      const lines = ['Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=', 'Proxy-Connection: keep-alive']
      expectStatus(await overHttp1(recording, { target: '/version', lines }), 200)
      ok(!/proxy/i.test(JSON.stringify(recording.api.arrived[0]?.headers)))
    },
  },
  {
    id: 'KC-03',
    title:
      'a kubeconfig is a token and where to go with it: no program, no certificate, nobody else, and TLS that is checked',
    async run(worlds) {
      const file = await downloaded(await worlds.cluster())
      expectMatch(file, /^ +token: ptk_/m)
      expectMatch(file, CA_DATA)
      for (const other of [
        'exec:',
        'client-',
        'insecure-',
        'as:',
        'as-',
        'tls-server-name',
        'auth-provider',
      ]) {
        ok(!new RegExp(`^ *${other}`, 'm').test(file), other)
      }
    },
  },
  {
    id: 'KC-04',
    title:
      'while authorities change a file with the old and the new one works; with another one alone nothing does',
    async run(worlds) {
      const world = await worlds.cluster()
      const file = await downloaded(world)
      const ours = Buffer.from(CA_DATA.exec(file)?.[1] ?? '', 'base64').toString()
      const { roots: other } = await foreignAuthority()
      const withRoots = (roots: string) =>
        file.replace(
          CA_DATA,
          `certificate-authority-data: ${Buffer.from(roots).toString('base64')}`,
        )
      for (const roots of [`${other}\n${ours}`, `${ours}\n${other}`]) {
        await kubectlWith(world, 'rotating', withRoots(roots)).ok(['get', 'pods', '-n', 'team'])
      }
      const { code, stderr } = await kubectlWith(world, 'foreign', withRoots(other)).run([
        'get',
        'pods',
        '-n',
        'team',
      ])
      deepStrictEqual(code, 1)
      expectMatch(stderr, /x509|certificate/)
    },
  },
]
