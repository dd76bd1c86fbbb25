import { createHash } from 'node:crypto'
import { connectBus } from '@postern/bus'
import { followLog } from '@postern/eventing'
import { createSilentLog } from '@postern/telemetry/testing'
import { sql } from 'kysely'
import { clientOf } from './in-process-client.ts'
import { codec, type LedgerEvent, openLedger } from './ledger.ts'

/*
 * A process for the chaos test to kill. `publisher` is an instance of the service; `projector` is a reader
 * in memory and a process manager, and prints a line for each batch: where it is, the hash of all it has
 * folded since its last reset, and whatever should never have happened.
 */
const [role, databaseUrl = '', natsUrl = ''] = process.argv.slice(2)
const log = createSilentLog()
const bus = connectBus({ url: natsUrl, name: String(role), log })
const ledger = await openLedger(databaseUrl, { bus })

if (role === 'projector') {
  let folded = createHash('sha256')
  let next = 1n
  let wrong = ''
  followLog<LedgerEvent>({
    service: 'ledger',
    paths: [clientOf(ledger)],
    codec,
    log,
    onReset: () => {
      folded = createHash('sha256')
      next = 1n
    },
    onEvents: (events, { pos }) => {
      for (const recorded of events) {
        if (recorded.pos !== next) wrong ||= `${recorded.pos} came where ${next} was due`
        next = recorded.pos + 1n
        folded.update(`${recorded.pos} ${recorded.id} ${recorded.ver}\n`)
      }
      if (pos !== next - 1n) wrong ||= `it stands at ${pos}, not ${next - 1n}`
      const line = { pos: String(pos), hash: folded.copy().digest('hex'), wrong }
      process.stdout.write(`${JSON.stringify(line)}\n`)
    },
  })
  ledger.processManager({
    name: 'effects',
    handle: async ({ pos }, { key }) => {
      await sql`
        insert into effects (key, pos, times) values (${key}, ${pos}, 1)
        on conflict (key) do update set times = effects.times + 1`.execute(ledger.db)
    },
  })
}
await ledger.start()
