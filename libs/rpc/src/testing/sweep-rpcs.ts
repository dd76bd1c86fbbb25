import type { ChannelCredentials } from '@grpc/grpc-js'
import { type TlsIdentity, toSpiffeId } from '@postern/pki'
import { type Access, methodsOf } from '../access.ts'
import { USER_TOKEN } from '../call-middleware.ts'
import { anonymousContext, mutualContext, SpiffeChannelCredentials } from '../client-credentials.ts'
import type { RpcRegistration } from '../registration.ts'
import { type RawAnswer, rawCall } from './raw-call.ts'

export type SweepNeeds = {
  /** "host:port" of the service's gRPC server. */
  readonly address: string
  readonly trustDomain: string
  /** The server's own SPIFFE path: "service/policy". */
  readonly serverPath: string
  /** What it serves; or the full names of the proto services. */
  readonly registrations: readonly (Pick<RpcRegistration, 'serviceName'> | string)[]
  /** A certificate of the installation's authority for a SPIFFE path: `createTestAuthority().identity`. */
  readonly identityOf: (path: string) => Promise<TlsIdentity>
  /** A token of a user without any platform role. */
  readonly unprivilegedToken: string
}

export type SweepAnswer = RawAnswer & {
  /** "/postern.policy.v1.GrantService/CreateGrant" */
  readonly rpc: string
  readonly as: 'nobody' | 'wrong service' | 'signed out' | 'unprivileged user' | 'wrong token'
  /** The code that a closed door answers; `undefined` where the door is open to this caller. */
  readonly wanted: readonly string[] | undefined
}

const PATHS: Readonly<Record<string, string>> = {
  relay: 'relay/r1',
  gateway: 'gateway/g1',
  agent: 'agent/c1/a1',
  identity: 'service/identity',
  policy: 'service/policy',
  session: 'service/session',
  'tunnel-broker': 'service/tunnel-broker',
  audit: 'service/audit',
}

/**
 * Calls every RPC with an empty request as nobody (no client certificate), as each kind of part that
 * its proto does not name, as the console for nobody, with a token that is nobody's, and for a user
 * without any permission.
 * @throws Error when the server cannot be reached by a caller that is known: nothing would be proven
 */
export async function sweepRpcs(needs: SweepNeeds): Promise<readonly SweepAnswer[]> {
  await assertReachable(needs)
  const names = needs.registrations.map((each) =>
    typeof each === 'string' ? each : each.serviceName,
  )
  const answers: SweepAnswer[] = []
  for (const method of methodsOf(names)) answers.push(...(await sweepMethod(needs, method)))
  return answers
}

/** Doors that should be closed and are not, in words. Empty when all is well. */
export function openDoors(answers: readonly SweepAnswer[]): string[] {
  return answers
    .filter(({ wanted, code }) => wanted !== undefined && !wanted.includes(code))
    .map(({ rpc, as, code, wanted }) => `${rpc} as ${as}: ${code}, wanted ${wanted?.join(' or ')}`)
}

type Method = { path: string; access: Access; serverStreams: boolean }

async function sweepMethod(needs: SweepNeeds, method: Method): Promise<SweepAnswer[]> {
  const { path: rpc, access } = method
  const isForUsers = access.permission !== '' || access.own
  const consoleCredentials = await credentialsOf(needs, 'service/console')
  const consoleMay = access.peers.includes('console') || access.signedOut
  const forConsole = (code: string) =>
    consoleMay ? undefined : [isForUsers ? code : 'PERMISSION_DENIED']
  const answers: SweepAnswer[] = []
  const ask = async (
    as: SweepAnswer['as'],
    wanted: SweepAnswer['wanted'],
    credentials: ChannelCredentials,
    metadata: Record<string, string> = {},
  ) => {
    const answer = await rawCall({ ...targetOf(needs), ...method, credentials, metadata })
    answers.push({ ...answer, rpc, as, wanted })
  }

  // A server that asks for certificates ends the connection: the client finds it unavailable.
  await ask('nobody', ['UNAVAILABLE', 'UNAUTHENTICATED'], await anonymousOf(needs))
  for (const [kind, path] of Object.entries(PATHS)) {
    if (access.peers.includes(kind)) continue
    const credentials = await credentialsOf(needs, path)
    // The token of a user helps only the console.
    const metadata = { [USER_TOKEN]: needs.unprivilegedToken }
    await ask('wrong service', ['PERMISSION_DENIED'], credentials, metadata)
  }
  await ask('signed out', forConsole('UNAUTHENTICATED'), consoleCredentials)
  await ask(
    'wrong token',
    isForUsers ? ['UNAUTHENTICATED'] : forConsole('PERMISSION_DENIED'),
    consoleCredentials,
    { [USER_TOKEN]: 'ptk_not-a-token-of-anybody' },
  )
  const ownOnly = isForUsers && access.own
  await ask(
    'unprivileged user',
    ownOnly ? undefined : isForUsers ? ['PERMISSION_DENIED'] : forConsole('PERMISSION_DENIED'),
    consoleCredentials,
    { [USER_TOKEN]: needs.unprivilegedToken },
  )
  return answers
}

async function assertReachable(needs: SweepNeeds): Promise<void> {
  const answer = await rawCall({
    ...targetOf(needs),
    credentials: await credentialsOf(needs, 'service/console'),
    path: '/grpc.health.v1.Health/Check',
    serverStreams: false,
  })
  if (answer.code !== 'OK') {
    throw new Error(`${needs.address} answers its own console ${answer.code}: ${answer.message}`)
  }
}

async function credentialsOf(needs: SweepNeeds, path: string): Promise<ChannelCredentials> {
  const identity = await needs.identityOf(path)
  return new SpiffeChannelCredentials(() => mutualContext(identity), serverIdOf(needs))
}

async function anonymousOf(needs: SweepNeeds): Promise<ChannelCredentials> {
  const { ca } = (await needs.identityOf('service/console')).current()
  return new SpiffeChannelCredentials(() => anonymousContext(ca), serverIdOf(needs))
}

function serverIdOf({ trustDomain, serverPath }: SweepNeeds): string {
  return toSpiffeId(trustDomain, ...serverPath.split('/'))
}

function targetOf({ address, trustDomain, serverPath }: SweepNeeds) {
  return { address, serverName: `${serverPath.split('/').at(-1)}.${trustDomain}` }
}
