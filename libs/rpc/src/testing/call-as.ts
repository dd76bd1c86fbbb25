import { type CallContext, Metadata } from 'nice-grpc-common'
import { type Call, createCall, type EndUser, type Peer } from '../call.ts'

export type CallAs = {
  /** Lacking parts are filled in: a user without any platform role. */
  readonly user?: Partial<EndUser>
  /** The console when there is a user, or nothing else is said. */
  readonly peer?: Partial<Peer>
  readonly path?: string
  readonly signal?: AbortSignal
}

const TEST_USER: EndUser = {
  userId: '00000000-0000-7000-8000-000000000001',
  userName: 'test-user',
  groupIds: [],
  platformRole: 'none',
  tokenId: '00000000-0000-7000-8000-000000000002',
}

const CONSOLE: Peer = {
  kind: 'console',
  id: 'console',
  spiffeId: 'spiffe://test.internal/service/console',
}

/** What a handler is called with, access already checked: `callAs({ user: { platformRole: 'auditor' } })`. */
export function callAs({ user, peer, path, signal }: CallAs = {}): Call {
  return createCall({
    peer: { ...CONSOLE, ...peer },
    user: user === undefined ? undefined : { ...TEST_USER, ...user },
    path: path ?? '/postern.test.v1.TestService/Test',
    signal: signal ?? new AbortController().signal,
  })
}

/** The second argument of a handler. */
export function contextAs(as: CallAs = {}): CallContext & { call: Call } {
  const call = callAs(as)
  return {
    call,
    metadata: Metadata(),
    peer: 'test',
    header: Metadata(),
    trailer: Metadata(),
    sendHeader: () => undefined,
    signal: call.signal,
  }
}
