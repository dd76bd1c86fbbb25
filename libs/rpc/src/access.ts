import {
  createFileRegistry,
  type DescMethod,
  type DescService,
  fromBinary,
  getOption,
  hasOption,
  isMessage,
  type Registry,
  toBinary,
} from '@bufbuild/protobuf'
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt'
import { rejections } from '@postern/errors'
import { fileDescriptorSet } from '@postern/proto/descriptors'
import { Access } from '@postern/proto/postern/options/v1/access'
import { type EndUser, holds, type Peer } from './call.ts'

export type { Access } from '@postern/proto/postern/options/v1/access'

const rejected = rejections({
  PEER_NOT_ALLOWED: ['permission_denied', 'this part of Postern may not call this'],
  CERTIFICATE_REQUIRED: ['unauthenticated', 'this needs a client certificate'],
  SIGN_IN_REQUIRED: ['unauthenticated', 'sign in first: the call carries no user token'],
  TOKEN_NOT_ACCEPTED: [
    'unauthenticated',
    'the token is unknown, expired or revoked, or its user is disabled: sign in again',
  ],
  PERMISSION_REQUIRED: ['permission_denied', 'you do not hold the permission for this'],
})

const ACCESS_OPTION = 'postern.options.v1.access'

/** What each RPC's proto declares, by path: "/postern.policy.v1.GrantService/CreateGrant". */
export type AccessTable = ReadonlyMap<string, Access>

/** @throws Error when a service is not in the descriptors, or an RPC declares no access */
export function accessOf(
  serviceNames: readonly string[],
  descriptors: Uint8Array = fileDescriptorSet,
): AccessTable {
  const methods = methodsOf(serviceNames, descriptors)
  return new Map(methods.map(({ path, access }) => [path, access]))
}

/** Every RPC of the services, with what it declares. @throws as `accessOf` */
export function methodsOf(
  serviceNames: readonly string[],
  descriptors: Uint8Array = fileDescriptorSet,
): { path: string; access: Access; serverStreams: boolean }[] {
  const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors))
  const methods = serviceNames.flatMap((name) => serviceIn(registry, name).methods)
  return methods.map((method) => ({
    path: pathOf(method),
    access: accessOfMethod(registry, method),
    serverStreams: ['server_streaming', 'bidi_streaming'].includes(method.methodKind),
  }))
}

/** What a user needs, what a peer needs: decided before the user is known. */
export type Admission = { type: 'as-peer' } | { type: 'as-user' }

/**
 * Decides whether the peer may make the call, and in whose name. Any doubt is a rejection.
 * @throws Rejection
 */
export function admit(access: Access, peer: Peer, hasUserToken: boolean): Admission {
  if (peer.kind === 'anyone') {
    if (!access.anyone) throw rejected('CERTIFICATE_REQUIRED')
    return { type: 'as-peer' }
  }
  const forUsers = access.permission !== '' || access.own
  if (forUsers && peer.kind === 'console' && hasUserToken) return { type: 'as-user' }
  if (access.peers.includes(peer.kind)) return { type: 'as-peer' }
  if (access.signedOut && peer.kind === 'console') return { type: 'as-peer' }
  if (forUsers && peer.kind === 'console') throw rejected('SIGN_IN_REQUIRED')
  throw rejected('PEER_NOT_ALLOWED')
}

/** @throws Rejection unless the user may make the call, at least for what is their own */
export function admitUser(access: Access, user: EndUser | undefined): EndUser {
  if (user === undefined) throw rejected('TOKEN_NOT_ACCEPTED')
  const isHeld = access.permission !== '' && holds(user, access.permission)
  if (!isHeld && !access.own) {
    throw rejected('PERMISSION_REQUIRED', { permission: access.permission })
  }
  return user
}

function serviceIn(registry: Registry, name: string): DescService {
  const service = registry.getService(name)
  if (service === undefined) throw new Error(`${name} is not in the proto descriptors`)
  return service
}

function accessOfMethod(registry: Registry, method: DescMethod): Access {
  const extension = registry.getExtension(ACCESS_OPTION)
  if (extension?.message === undefined) throw new Error(`the descriptors lack ${ACCESS_OPTION}`)
  const missing = `${pathOf(method)} declares no (${ACCESS_OPTION}): nobody could be let in safely`
  if (!hasOption(method, extension)) throw new Error(missing)
  const value = getOption(method, extension)
  if (!isMessage(value)) throw new Error(missing)
  const access = Access.decode(toBinary(extension.message, value))
  const isEmpty =
    access.permission === '' &&
    access.peers.length === 0 &&
    !(access.own || access.signedOut || access.anyone)
  if (isEmpty) throw new Error(missing)
  if (access.anyone && (access.permission !== '' || access.own || access.peers.length > 0)) {
    throw new Error(`${pathOf(method)} is for anyone and for someone at once`)
  }
  return access
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`
}
