import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventCodec } from '@postern/eventing'
import { writeIdentityFiles } from '@postern/pki'
import type { TestAuthority } from '@postern/pki/testing'
import { RoleDeleted } from '@postern/proto/postern/policy/events/v1/events'
import { type Composed, defineService, type Runtime } from '@postern/service'
import { z } from 'zod'

type Event = { type: 'RoleDeleted'; roleId: string }
type Database = Record<never, never>
export type FixtureRuntime = Runtime<{ greeting: string }, Database, Event>

/** The smallest service with a log: policy's name, no tables, and what the test composes. */
export function fixtureService(
  compose: (runtime: FixtureRuntime) => Promise<Composed> = async () => ({ rpc: [] }),
) {
  return defineService<{ greeting: string }, Database, Event>({
    name: 'policy',
    settings: z.object({ greeting: z.string().default('hello').describe('what it says') }),
    log: {
      codec: eventCodec('postern.policy.events.v1', { RoleDeleted }),
      projections: [],
      migrations: {},
    },
    compose,
  })
}

/** A folder with a certificate, and an environment that names it. Ports are free ones. */
export async function fixtureEnvironment(
  authority: TestAuthority,
  given: { databaseUrl: string; natsUrl: string; path?: string; lifeSeconds?: number },
) {
  const dir = await mkdtemp(join(tmpdir(), 'postern-service-'))
  const { lifeSeconds = 3600 } = given
  const material = await authority.material(given.path ?? 'service/policy', { lifeSeconds })
  await writeIdentityFiles(dir, material)
  const env: Record<string, string> = {
    POSTERN_TRUST_DOMAIN: authority.trustDomain,
    POSTERN_NATS_URL: given.natsUrl,
    POSTERN_POLICY_LISTEN: '127.0.0.1:0',
    POSTERN_POLICY_HTTP_LISTEN: '127.0.0.1:0',
    POSTERN_POLICY_TLS_DIR: dir,
    POSTERN_POLICY_DATABASE_URL: given.databaseUrl,
  }
  return {
    env,
    dir,
    [Symbol.asyncDispose]: async () => await rm(dir, { recursive: true, force: true }),
  }
}
