import { setTimeout } from 'node:timers/promises'
import { createCsr, toTlsMaterial, verifyTlsMaterial } from '@postern/pki'
import { isUnreachable, toRejection } from '@postern/rpc'
import type { Log } from '@postern/telemetry'
import type { IdentitySecret } from '../adapters/identity-secret.ts'
import type { join } from '../adapters/tunnel-broker-client.ts'
import { identityStep, joinTokenHash, type StoredIdentity } from './stored-identity.ts'

/** There is neither a certificate nor a join token that gets one. */
class NotEnrolledError extends Error {
  override readonly name = 'NotEnrolledError'
}

const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 15_000
/** How long another agent, which redeemed the token first, has to write its certificate down. */
const OTHER_AGENT_LOOKS = 10
const OTHER_AGENT_MS = 1_000

/**
 * The agent's certificate: the stored one, or one for the join token. A relay or a kube-apiserver that
 * cannot be reached is waited for, until the signal.
 *
 * @throws NotEnrolledError when waiting would not help
 */
export async function enrol(needs: {
  readonly secret: IdentitySecret
  readonly join: typeof join
  readonly relays: readonly string[]
  readonly trustDomain: string
  readonly roots: string
  readonly joinToken: string | undefined
  readonly now: () => Date
  readonly log: Log
  readonly signal: AbortSignal
}): Promise<StoredIdentity> {
  const { secret, relays, trustDomain, roots, joinToken, now, log, signal } = needs

  const stored = await patiently('the identity secret', readUsable)
  const step = identityStep(stored, joinToken)
  if (step === 'use' && stored !== undefined) return stored
  if (step === 'nothing' || joinToken === undefined) {
    throw new NotEnrolledError(
      'this agent has no certificate that is valid now: apply a new join manifest, or set POSTERN_AGENT_JOIN_TOKEN',
    )
  }
  const joined = await patiently('joining', (attempt) => joinThrough(joinToken, attempt))
  if (joined !== undefined)
    return await patiently('storing the certificate', () => secret.write(joined))
  if (step === 'join-or-use' && stored !== undefined) {
    log.warn({}, 'new join token refused, using the stored certificate')
    return stored
  }
  return await fromAnotherAgent()

  /** What is stored, if it leads to the roots of the settings: the agent trusts no others. */
  async function readUsable(): Promise<StoredIdentity | undefined> {
    const found = await secret.read()
    if (found === undefined) return undefined
    const material = { ...found.material, ca: roots }
    try {
      verifyTlsMaterial(material, now())
      return { ...found, material }
    } catch (error) {
      log.warn({ err: error }, 'stored certificate not valid')
      return undefined
    }
  }

  /** `undefined` when the token is refused. */
  async function joinThrough(token: string, attempt: number): Promise<StoredIdentity | undefined> {
    const relay = relays[attempt % relays.length] ?? ''
    const { csr, key } = await createCsr()
    const order = { relay, trustDomain, ca: roots, joinToken: token, csr }
    const answer = await needs.join(order).catch((error: unknown) => {
      if (toRejection(error)?.category === 'permission_denied') return undefined
      throw error
    })
    if (answer === undefined) return undefined
    const { chain, clusterId, agentId } = answer
    // The roots are those of the settings: whoever answers may not bring others.
    const material = { ...toTlsMaterial({ chain, roots: answer.roots, key }), ca: roots }
    const spiffeId = verifyTlsMaterial(material, now())
    if (spiffeId !== `spiffe://${trustDomain}/agent/${clusterId}/${agentId}`) {
      throw new Error(`the certificate is for ${spiffeId}, which is not this agent`)
    }
    log.info({ clusterId, agentId }, 'joined')
    return { material, joinTokenSha256: joinTokenHash(token), relays: [] }
  }

  /** Two pods may start with one token: who comes second takes what the first has stored. */
  async function fromAnotherAgent(): Promise<StoredIdentity> {
    for (let look = 0; look < OTHER_AGENT_LOOKS; look += 1) {
      const found = await patiently('the identity secret', readUsable)
      if (found !== undefined) return found
      await setTimeout(OTHER_AGENT_MS, undefined, { signal })
    }
    throw new NotEnrolledError(
      'the join token is unknown, expired or already used: apply a new join manifest',
    )
  }

  async function patiently<T>(what: string, work: (attempt: number) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await work(attempt)
      } catch (error) {
        if (signal.aborted) throw error
        const message = isUnreachable(error) ? 'not reachable, trying again' : 'trying again'
        log.warn({ err: error, what, attempt }, message)
        const delay = Math.min(RETRY_MS_MIN * 2 ** Math.min(attempt, 8), RETRY_MS_MAX)
        await setTimeout(delay * (0.5 + Math.random() / 2), undefined, { signal })
      }
    }
  }
}
