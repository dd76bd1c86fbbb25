import {
  isAgentsOwnWork,
  isByAccount,
  isByAgent,
  readClusterAuditLog,
} from './cluster-audit-log.ts'
import { eventually, expectEqual, expectThat } from './expect.ts'
import { annotation, readRecords } from './postern-records.ts'
import type { StoryStep } from './story-step.ts'

export const accountJustInTime: StoryStep = {
  title:
    "lead's first kubectl makes the account in the cluster just in time; both audit logs agree",

  async run(world, say) {
    const alpha = world.cluster('alpha')
    const before = await accounts(world)
    expectEqual(before, [], 'the accounts before anyone came')

    const lead = await world.kubectlOf('lead', 'alpha')
    const began = performance.now()
    await lead.ok(['get', 'pods', '-A'])
    say(`the first command, account included: ${Math.round(performance.now() - began)} ms`)
    const again = performance.now()
    await lead.ok(['get', 'pods', '-A'])
    say(`the second command: ${Math.round(performance.now() - again)} ms`)

    const [account, ...others] = await accounts(world)
    expectThat(account !== undefined && others.length === 0, 'exactly one account', [
      account,
      ...others,
    ])
    say(`the account: ${account}`)

    const record = await eventually('the record of the list', 5000, async () => {
      const records = await readRecords(world, [
        '--user',
        'lead',
        '--verb',
        'list',
        '--resource',
        'pods',
      ])
      const found = records.find(({ stage }) => stage === 'ResponseComplete')
      expectThat(found !== undefined, "a record of lead's list", records)
      return found
    })
    expectEqual(annotation(record, 'account'), account, 'the account in the record')
    expectEqual(annotation(record, 'grant'), 'developers-everywhere', 'the grant in the record')

    const events = await eventually("the cluster's own record", 5000, async () => {
      const all = readClusterAuditLog(alpha)
      expectThat(
        all.some(({ auditID }) => auditID === record.auditID),
        'the same Audit-ID in both logs',
      )
      return all
    })
    const same = events.filter(({ auditID }) => auditID === record.auditID)
    for (const { user } of same) {
      expectEqual(
        user.username,
        `system:serviceaccount:postern-jit:${account}`,
        'who the cluster saw',
      )
    }
    const leaked = events.filter((event) => isByAgent(event) && !isAgentsOwnWork(event))
    expectEqual(leaked, [], "requests under the agent's own identity that are not its own work")
    say(
      `Audit-ID ${record.auditID} stands in both logs; ${events.filter(isByAccount).length} events by accounts`,
    )
  },
}

/** Names of the accounts that exist in alpha. */
export async function accounts(world: Parameters<StoryStep['run']>[0]): Promise<string[]> {
  const list = [
    'get',
    'serviceaccounts',
    '-n',
    'postern-jit',
    '-l',
    'postern.dev/session',
    '-o',
    'name',
  ]
  const names = await world.cluster('alpha').kubectl.ok(list)
  return names
    .split('\n')
    .filter((name) => name !== '')
    .map((name) => name.replace('serviceaccount/', ''))
}
