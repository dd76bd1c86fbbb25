import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  annotation,
  eventually,
  isAgentsOwnWork,
  isByAccount,
  isByAgent,
  readClusterAuditLog,
} from '@postern/bootstrap'
import { describe, expect, test } from 'vitest'
import { CLUSTER, type E2eWorld } from '../support/e2e-world.ts'
import { recordsWhere } from '../support/records.ts'
import { filesWith } from '../support/search.ts'

/** Looks back on all that the tests before it did: the more, the better. */
export function humanVisible(world: () => E2eWorld): void {
  describe('property 4: the human is visible on every path', () => {
    test("all that accounts ever did in the cluster stands in Postern's records under the same Audit-ID with a human's name", async () => {
      const events = readClusterAuditLog(world().cluster(CLUSTER))
      const records = await eventually('the records to be stored', 60_000, async () => {
        const all = await recordsWhere(world(), `cluster=${CLUSTER}`)
        const known = new Map(all.map((record) => [record.auditID, record]))
        const unknown = events.filter(
          (event) =>
            isByAccount(event) && !known.has(event.auditID) && !isSpooled(world(), event.auditID),
        )
        expect(unknown).toEqual([])
        return known
      })
      const humans = await accountHumans(world())
      let compared = 0
      for (const event of events.filter(isByAccount)) {
        const record = records.get(event.auditID)
        const account = event.user.username.replace('system:serviceaccount:postern-jit:', '')
        // It is on a gateway's disk.
        if (record === undefined) continue
        expect(record.user.username).toBeTruthy()
        const human = humans.get(account)
        // Accounts of ended sessions are gone, and their annotations with them.
        if (human === undefined) continue
        const recorded = annotation(record, 'account')
        if (recorded === '') continue
        expect({ account: recorded, human: record.user.username }).toEqual({ account, human })
        compared += 1
      }
      expect(compared).toBeGreaterThan(100)
    })

    test('under its own identity the agent does its own work and nothing else', () => {
      const events = readClusterAuditLog(world().cluster(CLUSTER)).filter(isByAgent)
      expect(events.length).toBeGreaterThan(10)
      expect(events.filter((event) => !isAgentsOwnWork(event))).toEqual([])
      const impersonated = readClusterAuditLog(world().cluster(CLUSTER)).filter(
        (event) => 'impersonatedUser' in event,
      )
      expect(impersonated).toEqual([])
    })
  })
}

/** Gateways that were cut off from the audit service and killed have their records on their disks. */
function isSpooled({ dir }: E2eWorld, auditId: string): boolean {
  return readdirSync(dir)
    .map((name) => join(dir, name, 'spool'))
    .some((spool) => existsSync(spool) && filesWith(spool, auditId).length > 0)
}

/** For whom each account that is there was made, by its own annotation. */
async function accountHumans(world: E2eWorld): Promise<Map<string, string>> {
  const list = ['get', 'serviceaccounts', '-n', 'postern-jit', '-l', 'postern.dev/session']
  const text = await world.cluster(CLUSTER).kubectl.ok([...list, '-o', 'json'])
  const { items }: { items: { metadata: Metadata }[] } = JSON.parse(text)
  return new Map(
    items.map(({ metadata }) => [metadata.name, metadata.annotations?.['postern.dev/user'] ?? '']),
  )
}

type Metadata = { name: string; annotations?: Record<string, string> }
