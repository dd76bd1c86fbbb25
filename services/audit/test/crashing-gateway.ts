// Played by crash.int.test.ts in a process of its own, to be killed at any moment: a gateway's spool
// and the audit core in one. Arguments: database URL, PEM file of the log's key, spool.
import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { readProducerStates } from '../src/producer/producer-repository.ts'
import { delivery, openAudit, records, spoolOf } from './audit-fixture.ts'

const [, , databaseUrl = '', keyFile = '', gateway = ''] = process.argv
const audit = await openAudit(databaseUrl, { key: createPrivateKey(readFileSync(keyFile)) })
const { id } = spoolOf(gateway)
let stored = Number((await readProducerStates(audit.db, [id])).get(id)?.stored ?? 0n)

process.stdout.write(`ready ${stored}\n`)
for (;;) {
  const first = stored + 1
  const count = 1 + ((first * 37) % 300)
  try {
    stored = Number(
      await audit.sequencer.append(delivery(gateway, first, records(gateway, first, count))),
    )
    process.stdout.write(`stored ${stored}\n`)
  } catch (error) {
    // As a gateway does: what was not acknowledged is delivered again.
    process.stdout.write(`failed ${error instanceof Error ? error.message : String(error)}\n`)
  }
}
