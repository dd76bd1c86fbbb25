import { createReplica } from '@postern/replica'
import type { Composed, Runtime } from '@postern/service'
import { sql } from 'kysely'
import { createKnownParties } from './adapters/known-parties.ts'
import type { PolicyConfig } from './config.ts'
import type { PolicyDatabase } from './database.ts'
import { createAnswerQuestion } from './explain/answer-question.ts'
import { createGrantRepository } from './grant/grant-repository.ts'
import { createGrantRpc } from './grant/grant-rpc.ts'
import type { PolicyEvent } from './policy-event.ts'
import { createRoleRepository } from './role/role-repository.ts'
import { createRoleRpc } from './role/role-rpc.ts'

type PolicyRuntime = Runtime<PolicyConfig, PolicyDatabase, PolicyEvent>

export async function composePolicy({
  db,
  store,
  clients,
  log,
  now,
}: PolicyRuntime): Promise<Composed> {
  const replica = createReplica({ clients, log })
  const parties = createKnownParties(replica)
  const roles = createRoleRepository({ store, db })
  const grants = createGrantRepository({ store, db })
  const answerQuestion = createAnswerQuestion({
    parties,
    head: async () => await readHead(db),
    now,
  })

  return {
    rpc: [createRoleRpc({ roles }), createGrantRpc({ grants, roles, parties, answerQuestion })],
    start: async () => replica.start(),
    ready: async () =>
      replica.caughtUp ? undefined : 'reading the logs of identity and tunnel-broker',
    stop: async () => await replica.stop(),
  }
}

async function readHead(db: PolicyRuntime['db']): Promise<bigint> {
  const { rows } = await sql<{ pos: bigint }>`select pos from head`.execute(db)
  return rows[0]?.pos ?? 0n
}
