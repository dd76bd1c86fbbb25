import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectBus } from '@postern/bus'
import { createDatabase, freePort, startNats, until } from '@postern/fixtures'
import { writeIdentityFiles } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { GrantServiceDefinition } from '@postern/proto/postern/policy/v1/grant'
import { RoleServiceDefinition } from '@postern/proto/postern/policy/v1/role'
import { createRpcClients } from '@postern/rpc'
import { type RunningService, rebuildService, runService } from '@postern/service'
import { createLog } from '@postern/telemetry'
import { policyService } from '../src/index.ts'
import { startOtherServices } from './other-services.ts'

const log = createLog({ name: 'test', level: 'silent' })

/** Policy on real servers of its own, beside the logs that it follows. */
export async function runPolicy({ postgresUrl }: { postgresUrl: string }) {
  const authority = await createTestAuthority()
  const { trustDomain } = authority
  const nats = await startNats()
  const bus = connectBus({ url: nats.url, name: 'test', log })
  const others = await startOtherServices({ postgresUrl, bus, authority })
  const tlsDir = await mkdtemp(join(tmpdir(), 'postern-policy-'))
  await writeIdentityFiles(tlsDir, await authority.material('service/policy'))
  // It follows its own log as any other, so its address is known before it listens.
  const address = `127.0.0.1:${await freePort()}`
  const env = {
    POSTERN_TRUST_DOMAIN: trustDomain,
    POSTERN_NATS_URL: nats.url,
    POSTERN_IDENTITY_ADDRESS: others.identityAddress,
    POSTERN_TUNNEL_BROKER_ADDRESS: others.tunnelBrokerAddress,
    POSTERN_POLICY_ADDRESS: address,
    POSTERN_POLICY_LISTEN: address,
    POSTERN_POLICY_TLS_DIR: tlsDir,
    POSTERN_POLICY_DATABASE_URL: await createDatabase(postgresUrl),
  }
  const running: RunningService = await runService(policyService, env, { log })
  await until(async () => (await running.ready()) === undefined)
  const clients = createRpcClients({
    identity: await authority.identity('service/console'),
    trustDomain,
    addresses: { policy: address },
    log,
  })

  return {
    address,
    authority,
    others,
    roles: clients.of(RoleServiceDefinition, 'policy'),
    grants: clients.of(GrantServiceDefinition, 'policy'),
    rebuild: async () =>
      await rebuildService(policyService, env, { verify: true, say: () => undefined }),
    async stop() {
      clients.close()
      await running.stop()
      await others.stop()
      await bus.close()
      await nats.stop()
      await rm(tlsDir, { recursive: true, force: true })
    },
  }
}

export type RunningPolicy = Awaited<ReturnType<typeof runPolicy>>
