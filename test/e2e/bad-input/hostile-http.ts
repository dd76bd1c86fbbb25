import { eventually } from '@postern/bootstrap'
import { beforeAll, describe, expect, test } from 'vitest'
import { changesNothing } from '../support/changes-nothing.ts'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { messageOf, sendRaw } from '../support/http.ts'

const PODS = '/api/v1/namespaces/team/pods'
const SECRETS = '/api/v1/namespaces/team/secrets'

/** What a client may say to the gateway, in every way that it must not. */
export function hostileHttp(world: () => E2eWorld): void {
  describe('malformed requests to the gateway', () => {
    let token = ''
    beforeAll(async () => {
      token = (await world().token('lead')).secret
    })

    const raw = (bytes: string, until?: (text: string) => boolean) => {
      const { platform, ca } = world()
      const port = platform.ports.gateway
      return sendRaw({ port, ca, bytes, ...(until === undefined ? {} : { until }) })
    }
    const get = (target: string, lines: readonly string[] = []) =>
      [
        `GET ${target} HTTP/1.1`,
        'Host: 127.0.0.1',
        `Authorization: Bearer ${token}`,
        ...lines,
        '\r\n',
      ].join('\r\n')
    const podNames = async (): Promise<string[]> => {
      const pods = await world().ask(token, { path: PODS })
      const { items }: { items: { metadata: { name: string } }[] } = JSON.parse(pods.text)
      return items.map(({ metadata }) => metadata.name)
    }
    const inCluster = (path: string) => `/clusters/${CLUSTER}${path}`
    const post = (lines: readonly string[], body: string) =>
      `${get(inCluster(PODS), ['Content-Type: application/json', ...lines]).replace('GET', 'POST')}${body}`

    test.each([
      { name: 'a doubled slash', path: '//api/v1/secrets' },
      { name: 'an empty segment', path: '/api/v1/namespaces//secrets' },
      { name: 'dots', path: '/api/v1/namespaces/../secrets' },
      { name: 'encoded dots', path: '/api/v1/namespaces/%2e%2e/secrets' },
      { name: 'an encoded slash', path: '/api/v1/namespaces/team%2Fsecrets' },
      { name: 'an encoded backslash', path: '/api/v1/namespaces/team%5csecrets' },
      { name: 'a twice encoded dot', path: '/api/v1/%252e/secrets' },
      { name: 'a broken escape', path: '/api/v1/%zz/secrets' },
      { name: 'an encoded NUL', path: '/api/v1/secrets%00' },
      { name: 'bytes that are not UTF-8', path: '/api/v1/%ff/secrets' },
      { name: 'a fragment', path: '/api/v1/pods#/../secrets' },
      { name: 'a semicolon in the query', path: '/api/v1/pods?watch=true;a=1' },
      { name: 'watch said twice', path: '/api/v1/pods?watch=false&watch=true' },
    ])('a path with $name is refused and says why', async ({ path }) => {
      const { text, closed } = await changesNothing(world(), () => raw(get(inCluster(path))))
      expect(statusOf(text)).toBe(400)
      expect(text).toMatch(/the request is not accepted: .{20}/)
      expect(closed).toBe(true)
    })

    test.each([
      { name: 'the absolute form', bytes: () => get(`https://other${inCluster(SECRETS)}`) },
      { name: 'two Host lines', bytes: () => get(inCluster(PODS), ['Host: beta.localhost']) },
      {
        name: 'no Host line',
        bytes: () => get(inCluster(PODS)).replace('Host: 127.0.0.1\r\n', ''),
      },
      { name: 'HTTP/1.0', bytes: () => get(inCluster(PODS)).replace('HTTP/1.1', 'HTTP/1.0') },
      { name: 'HTTP/0.9', bytes: () => `GET ${inCluster(PODS)}\r\n\r\n` },
      {
        name: 'a length and chunks',
        bytes: () => post(['Content-Length: 4', 'Transfer-Encoding: chunked'], '0\r\n\r\n'),
      },
      {
        name: 'two lengths',
        bytes: () => post(['Content-Length: 2', 'Content-Length: 60'], '{}'),
      },
      { name: 'a length with a sign', bytes: () => post(['Content-Length: +2'], '{}') },
      {
        name: 'chunks under another coding',
        bytes: () => post(['Transfer-Encoding: gzip, chunked'], '0\r\n\r\n'),
      },
      {
        name: 'a folded header',
        bytes: () => get(inCluster(PODS), ['X-A: 1', ' Impersonate-User: root']),
      },
      {
        name: 'a bare line feed',
        bytes: () => get(inCluster(PODS), ['X-A: 1\nImpersonate-User: root']),
      },
      {
        name: 'a space before a colon',
        bytes: () => get(inCluster(PODS), ['Impersonate-User : root']),
      },
      {
        name: 'h2c',
        bytes: () =>
          get(inCluster(PODS), [
            'Connection: Upgrade, HTTP2-Settings',
            'Upgrade: h2c',
            'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
          ]),
      },
      {
        name: 'an upgrade with a body',
        bytes: () =>
          `${get(inCluster(`${PODS}/box/exec?command=id`), ['Connection: Upgrade', 'Upgrade: websocket', 'Content-Length: 3'])}abc`,
      },
      { name: 'CONNECT', bytes: () => 'CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n' },
      { name: 'TRACE', bytes: () => get(inCluster(PODS)).replace('GET', 'TRACE') },
      { name: 'TLS inside TLS', bytes: () => '\u0016\u0003\u0001\u0002\u0000\u0001\u0000' },
    ])('$name gets one refusal; what is smuggled behind it is never read', async ({ bytes }) => {
      const { text, closed } = await changesNothing(world(), () =>
        raw(bytes() + get(inCluster('/api/v1/namespaces'))),
      )
      expect(statusOf(text)).toBeGreaterThanOrEqual(400)
      expect(text.match(/HTTP\/1\.1 \d{3}/g)).toHaveLength(1)
      expect(text).toMatch(/\r\n\r\n.{10}/s)
      expect(closed).toBe(true)
    })

    test.each([
      'Impersonate-User',
      'impersonate-group',
      'Impersonate_User',
      'Impersonate-Extra-Scopes',
      'X-Remote-User',
      'x-remote-group',
      'X_Remote_User',
      'X-Remote-Extra-Scopes',
    ])('the header %s is refused by name, also where Connection names it', async (header) => {
      const lines = [`${header}: system:masters`, `Connection: close, ${header}`]
      const { text } = await changesNothing(world(), () => raw(get(inCluster(PODS), lines)))
      expect(statusOf(text)).toBe(403)
      expect(text).toContain(`the header ${header} is not allowed: Postern decides who you are`)
    })

    test('kubectl --as, --as-group and --as-uid are refused in words', async () => {
      const kubectl = await world().kubectlOf('lead', CLUSTER)
      await changesNothing(world(), async () => {
        for (const flags of [['--as=admin'], ['--as=admin', '--as-group=system:masters']]) {
          const { code, stderr } = await kubectl.run(['get', 'pods', '-n', 'team', ...flags])
          expect(code).toBe(1)
          expect(stderr).toMatch(/impersonate-\w+ is not allowed.*Impersonation \(kubectl --as\)/is)
        }
      })
    })

    test('a cluster that is not there and one that may not be used are refused in the same words', async () => {
      const { platform, ca } = world()
      for (const name of ['nowhere', 'UPPER', '..', `${'a'.repeat(64)}`]) {
        const bytes = get(`/clusters/${name}/api/v1/pods`, ['Connection: close'])
        const { text } = await sendRaw({ port: platform.ports.gateway, ca, bytes })
        expect([400, 403]).toContain(statusOf(text))
        expect(text).toMatch(/no cluster/)
      }
    })

    test('a body that is no object, or of another kind, is the cluster own affair: its words come back', async () => {
      for (const body of ['{', '[]', '{"kind":"Pod"}', 'null', '\u0000']) {
        const headers = { 'content-type': 'application/json' }
        const answer = await world().ask(token, { path: PODS, method: 'POST', headers, body })
        expect(answer.status).toBeGreaterThanOrEqual(400)
        expect(answer.status).toBeLessThan(500)
        expect(messageOf(answer)).not.toBe('')
      }
      expect(await podNames()).toEqual(['box'])
    })

    test('a body that turns out to be malformed is broken off on both sides, and leaves no intent open', async () => {
      const framing = ['Transfer-Encoding: chunked']
      for (const body of [
        'zz\r\n{}\r\n0\r\n\r\n',
        '5\r\n{"a":',
        '-1\r\n',
        'ffffffffffffffffff\r\n{',
      ]) {
        const { text } = await raw(
          post(framing, body) + get(inCluster('/api/v1/namespaces')),
          (all) => all.includes('\r\n\r\n'),
        )
        expect(statusOf(text)).toBe(400)
        expect(text.match(/HTTP\/1\.1 \d{3}/g)).toHaveLength(1)
      }
      expect(await podNames()).toEqual(['box'])
      await eventually('every intent to have its outcome', 60_000, async () => {
        const { records } = await world().admin.api.call('GET', '/v1/audit/records?openOnly=true')
        expect(records).toEqual([])
      })
    })

    test('headers without end are cut off', async () => {
      const lines = Array.from({ length: 1200 }, (_, index) => `X-${index}: ${'a'.repeat(1000)}`)
      const { text, closed } = await changesNothing(world(), () => raw(get(inCluster(PODS), lines)))
      expect(statusOf(text)).toBe(431)
      expect(closed).toBe(true)
    })
  })
}

function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0)
}
