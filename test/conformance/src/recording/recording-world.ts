import { join } from 'node:path'
import { annotation, eventually } from '@postern/bootstrap'
import { type E2eWorld, joinFacts, recordsWhere, spawnAgent } from '@postern/e2e/support'
import { grantedUser } from '../granted-user.ts'
import { type RecordingApiServer, startRecordingApiServer } from './api-server.ts'

/** The real path (gateway, relay, agent) to an API server that records. */
export type RecordingWorld = {
  readonly e2e: E2eWorld
  readonly api: RecordingApiServer
  readonly gatewayPort: number
  /** Where the cluster is below the gateway: "/clusters/recorded". */
  readonly prefix: string
  /** Its own host name. */
  readonly host: string
  /** A token of a user who may do everything there that a grant can allow. */
  readonly token: string
  readonly account: string
  /** A user of his own with these rules in these namespaces ("all" for the whole cluster). */
  user(
    name: string,
    rules: readonly object[],
    namespaces: readonly string[] | 'all',
  ): Promise<string>
  stop(): Promise<void>
}

const NAME = 'recorded'
const LABELS = { env: 'recorded' }
export const OPERATOR = 'operator'
export const EVERYTHING = [
  { verbs: ['*'], apiGroups: ['*'], resources: ['*'] },
  { verbs: ['*'], nonResourceUrls: ['*'] },
]
const READY_MS_MAX = 60_000

export async function startRecordingWorld(e2e: E2eWorld): Promise<RecordingWorld> {
  const { api: admin } = e2e.admin
  const api = await startRecordingApiServer()
  const order = { name: NAME, labels: LABELS, installLevel: 'INSTALL_LEVEL_ADMIN' }
  await admin.call('POST', '/v1/clusters', order)
  const agent = spawnAgent({
    dir: join(e2e.dir, NAME),
    namespace: 'postern-system',
    token: api.agentToken,
    ca: api.ca,
    kubernetes: api.address,
    facts: await joinFacts(e2e, NAME),
  })
  const prefix = `/clusters/${NAME}`

  const user = (name: string, rules: readonly object[], namespaces: readonly string[] | 'all') =>
    grantedUser(e2e, { name, cluster: NAME, rules, namespaces })

  try {
    const token = await user(OPERATOR, EVERYTHING, 'all').catch((cause: unknown) => {
      throw new Error(`nobody is let in: ${agent.output().slice(-2000)}`, { cause })
    })
    const account = await accountOfOperator()
    api.reset()
    return {
      e2e,
      api,
      gatewayPort: e2e.platform.ports.gateway,
      prefix,
      host: `${NAME}.postern.localhost`,
      token,
      account,
      user,
      async stop() {
        await agent.kill()
        await api.close()
      },
    }
  } catch (error) {
    await agent.kill()
    await api.close()
    throw error
  }

  async function accountOfOperator(): Promise<string> {
    return await eventually('a record of the first request', READY_MS_MAX, async () => {
      const records = await recordsWhere(e2e, `user=${OPERATOR}`)
      const found = records
        .map((record) => annotation(record, 'account'))
        .find((name) => name !== '')
      if (found === undefined) throw new Error('there is none yet')
      return found
    })
  }
}
