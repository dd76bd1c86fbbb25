import { createHash } from 'node:crypto'
import { createDecider, type Snapshot } from '@postern/access'
import type { HeaderLines } from '@postern/kube-http'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { clientLines } from '../front/client-lines.ts'
import type { FrontHead } from '../front/front-interface.ts'
import { type AdmissionView, admit } from './admit.ts'

const at = new Date('2026-05-01T12:00:00Z')
const token = `ptk_${'a'.repeat(43)}`
const rule = { resourceNames: [], nonResourceUrls: [] }
const snapshot: Snapshot = {
  users: new Map([['u1', { id: 'u1', name: 'alice', disabled: false, groupIds: ['g1'] }]]),
  groups: new Map([['g1', { id: 'g1', name: 'developers' }]]),
  roles: new Map([
    [
      'r1',
      {
        id: 'r1',
        name: 'reader',
        rules: [
          { ...rule, verbs: ['get', 'list'], apiGroups: [''], resources: ['pods', 'pods/exec'] },
        ],
      },
    ],
  ]),
  grants: new Map([
    [
      'gr1',
      {
        id: 'gr1',
        name: 'read-team',
        subjects: [{ kind: 'group', id: 'g1' }],
        roleId: 'r1',
        clusters: { clusterIds: ['c1'] },
        namespaces: { all: false, names: ['team'] },
      },
    ],
  ]),
  clusters: new Map([
    ['c1', { id: 'c1', name: 'demo', labels: {}, installLevel: 'view', namespaces: new Map() }],
  ]),
}

function view(changes: Partial<AdmissionView> & { expiresAt?: string } = {}): AdmissionView {
  const { expiresAt = '2026-05-01T13:00:00Z', ...rest } = changes
  const decider = createDecider()
  const known = createHash('sha256').update(token).digest('hex')
  return {
    domain: 'gw.example.com',
    leaseValid: () => true,
    snapshot: () => snapshot,
    tokenBySha256: (hash) =>
      hash === known ? { tokenId: 't1', userId: 'u1', expiresAt } : undefined,
    clusterByName: (name) => (name === 'demo' ? snapshot.clusters.get('c1') : undefined),
    decide: (state, requester, info, when) => decider.decide(state, requester, info, when),
    ...rest,
  }
}

const saying = (...headers: HeaderLines) =>
  clientLines(headers, { remoteAddress: '10.0.0.1', memory: {} })

function head(changes: Partial<FrontHead> = {}): FrontHead {
  return {
    protocol: 'h2',
    method: 'GET',
    target: '/api/v1/namespaces/team/pods',
    authority: 'demo.gw.example.com',
    serverName: 'demo.gw.example.com',
    lines: saying(['authorization', `Bearer ${token}`]),
    upgrade: undefined,
    memory: {},
    ...changes,
  }
}

test('what a grant allows is admitted, with the caller, the grant and the canonical target', () => {
  const target = '/api/v1/namespaces/team/%70ods/'
  const { admitted } = expectAdmitted(admit(head({ target }), view(), at))
  expect(admitted).toMatchObject({
    target: '/api/v1/namespaces/team/pods',
    kind: 'forward',
    longRunning: false,
    needsIntent: false,
    caller: { userName: 'alice', groups: ['developers'], tokenId: 't1' },
    decision: { grant: { name: 'read-team' } },
  })
})

test.each([
  { name: 'a lost lease', changes: {}, of: { leaseValid: () => false }, code: 503 },
  { name: 'no token', changes: { lines: saying() }, of: {}, code: 401 },
  { name: 'an expired token', changes: {}, of: { expiresAt: '2026-05-01T12:00:00Z' }, code: 401 },
  { name: 'a token whose end cannot be read', changes: {}, of: { expiresAt: 'never' }, code: 401 },
  {
    name: 'an unknown cluster',
    changes: { authority: 'x.gw.example.com', serverName: undefined },
    of: {},
    code: 403,
  },
  {
    name: 'no cluster',
    changes: { authority: 'gw.example.com', serverName: undefined },
    of: {},
    code: 403,
  },
  {
    name: 'another cluster in the TLS name',
    changes: { serverName: 'x.gw.example.com' },
    of: {},
    code: 421,
  },
  {
    name: 'a path that is not canonical',
    changes: { target: '/api/v1/namespaces//pods' },
    of: {},
    code: 400,
  },
  {
    name: 'another namespace',
    changes: { target: '/api/v1/namespaces/other/pods' },
    of: {},
    code: 403,
  },
  { name: 'OPTIONS', changes: { method: 'OPTIONS' }, of: {}, code: 405 },
  {
    name: 'DELETE on a watch path',
    changes: { method: 'DELETE', target: '/api/v1/watch/pods' },
    of: {},
    code: 405,
  },
  {
    name: 'a claimed identity',
    changes: {
      lines: saying(['authorization', `Bearer ${token}`], ['Impersonate_User', 'x']),
    },
    of: {},
    code: 403,
  },
])('$name is refused with $code', ({ changes, of, code }) => {
  const admission = admit(head(changes), view(of), at)
  expect('refusal' in admission && admission.refusal.code).toBe(code)
})

test('UP-05: get without create on pods/exec does not admit an exec, by GET or by POST', () => {
  const target = '/api/v1/namespaces/team/pods/web/exec?command=sh'
  for (const [method, upgrade] of [
    ['GET', 'websocket'],
    ['POST', 'SPDY/3.1'],
    ['GET', undefined],
  ] as const) {
    const admission = admit(head({ target, method, upgrade }), view(), at)
    expect('refusal' in admission && admission.refusal.code).toBe(403)
  }
})

test('property 7: whatever the target, what is admitted is forwarded as it was decided', () => {
  const seed = Date.now() & 0x7fffffff
  const piece = fc.constantFrom(
    'api',
    'v1',
    'namespaces',
    'team',
    'other',
    'pods',
    'secrets',
    '..',
    '.',
    '',
    '%2e',
    '%2F',
    '%70ods',
    'p%6Fds',
    '%73ecrets',
    'exec',
    'web',
    'watch',
    'proxy',
  )
  const target = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('/')}`)
  const query = fc.constantFrom('', '?watch', '?watch=0', '?limit=1', '?watch=1&watch=0', '?a=%zz')
  fc.assert(
    fc.property(target, query, (path, tail) => {
      const admission = admit(head({ target: path + tail }), view(), at)
      if (!('admitted' in admission)) return true
      const { info, target: forwarded } = admission.admitted
      const isDiscovery = !info.isResourceRequest
      const decided = info.resource === 'pods' && info.namespace === 'team' && info.verb !== 'watch'
      return (
        (isDiscovery || decided) &&
        !forwarded.includes('%') &&
        !/\/\/|\/\.\.?(\/|$)/.test(forwarded)
      )
    }),
    { seed, numRuns: 3_000 },
  )
})

function expectAdmitted(admission: ReturnType<typeof admit>) {
  if ('refusal' in admission) throw new Error(admission.refusal.message)
  return admission
}
