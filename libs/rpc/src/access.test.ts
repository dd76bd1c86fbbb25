import { clearExtension, createFileRegistry, fromBinary, toBinary } from '@bufbuild/protobuf'
import { FileDescriptorSetSchema, MethodOptionsSchema } from '@bufbuild/protobuf/wkt'
import { Rejection } from '@postern/errors'
import { fileDescriptorSet } from '@postern/proto/descriptors'
import { Access } from '@postern/proto/postern/options/v1/access'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { accessOf, admit, admitUser } from './access.ts'
import { ANYONE, type EndUser, type Peer } from './call.ts'

const KINDS = ['identity', 'policy', 'session', 'audit', 'console', 'gateway', 'relay', 'agent']
// Field 51701, of length 0.
const EMPTY_ACCESS = new Uint8Array([0xaa, 0x9f, 0x19, 0x00])
const GRANTS = 'postern.policy.v1.GrantService'

function access(fields: Partial<Access>): Access {
  return Access.fromPartial(fields)
}

function peer(kind: string): Peer {
  return { kind, id: 'x', spiffeId: `spiffe://test.internal/${kind}` }
}

function user(platformRole: EndUser['platformRole']): EndUser {
  return { userId: 'u', userName: 'u', groupIds: [], platformRole, tokenId: 't' }
}

test('access is what the proto declares', () => {
  const table = accessOf([GRANTS, 'postern.tunnelbroker.v1.AgentService'])
  expect(table.get(`/${GRANTS}/CreateGrant`)).toMatchObject({ permission: 'policy.grants.create' })
  expect(table.get('/postern.tunnelbroker.v1.AgentService/Join')).toMatchObject({ anyone: true })
})

test.each([
  { name: 'no access', edit: 'clear' },
  { name: 'an empty access', edit: 'empty' },
] as const)('an RPC that declares $name is refused by name', ({ edit }) => {
  const set = fromBinary(FileDescriptorSetSchema, fileDescriptorSet)
  const extension = createFileRegistry(set).getExtension('postern.options.v1.access')
  const grants = set.file
    .flatMap(({ service }) => service)
    .find(({ name }) => name === 'GrantService')
  const method = grants?.method.find(({ name }) => name === 'RevokeGrant')
  if (extension === undefined || method?.options === undefined) throw new Error('no such RPC')
  if (edit === 'clear') clearExtension(method.options, extension)
  else method.options = fromBinary(MethodOptionsSchema, EMPTY_ACCESS)
  expect(() => accessOf([GRANTS], toBinary(FileDescriptorSetSchema, set))).toThrow(
    /GrantService\/RevokeGrant declares no/,
  )
})

test('without a certificate only what is for anyone is served; with one, never that', () => {
  expect(admit(access({ anyone: true }), ANYONE, false)).toEqual({ type: 'as-peer' })
  expect(() => admit(access({ peers: ['anyone'] }), ANYONE, true)).toThrow(/client certificate/)
  for (const kind of KINDS) {
    expect(() => admit(access({ anyone: true }), peer(kind), true)).toThrow(/may not call/)
  }
})

test('a part is let in only where it is named, and only the console acts for users', () => {
  const anAccess = fc.record({
    permission: fc.constantFrom('', 'policy.grants.list'),
    own: fc.boolean(),
    peers: fc.subarray(KINDS),
    signedOut: fc.boolean(),
    anyone: fc.constant(false),
  })
  fc.assert(
    fc.property(anAccess, fc.constantFrom(...KINDS), fc.boolean(), (declared, kind, hasToken) => {
      const isForUsers = declared.permission !== '' || declared.own
      const mayAsUser = kind === 'console' && hasToken && isForUsers
      const mayAsPeer = declared.peers.includes(kind) || (declared.signedOut && kind === 'console')
      const wanted = mayAsUser ? 'as-user' : mayAsPeer ? 'as-peer' : 'rejected'
      expect(outcomeOf(() => admit(declared, peer(kind), hasToken).type)).toBe(wanted)
    }),
  )
})

test.each([
  { permission: 'policy.grants.create', role: 'administrator', own: false, admitted: true },
  { permission: 'policy.grants.list', role: 'auditor', own: false, admitted: true },
  { permission: 'policy.grants.explain', role: 'auditor', own: false, admitted: true },
  { permission: 'policy.grants.create', role: 'auditor', own: false, admitted: false },
  { permission: 'policy.grants.playlist', role: 'auditor', own: false, admitted: false },
  { permission: 'policy.grants.list', role: 'none', own: false, admitted: false },
  { permission: 'policy.grants.list', role: 'none', own: true, admitted: true },
  { permission: '', role: 'none', own: true, admitted: true },
  { permission: '', role: 'administrator', own: false, admitted: false },
] as const)(
  '$role with $permission (own: $own): $admitted',
  ({ permission, role, own, admitted }) => {
    const outcome = outcomeOf(() => admitUser(access({ permission, own }), user(role)).platformRole)
    expect(outcome).toBe(admitted ? role : 'rejected')
  },
)

test('a token that is nobody’s is not accepted, whatever is declared', () => {
  expect(() => admitUser(access({ own: true }), undefined)).toThrow(/sign in again/)
})

function outcomeOf(attempt: () => string): string {
  try {
    return attempt()
  } catch (error) {
    if (!(error instanceof Rejection)) throw error
    return 'rejected'
  }
}
