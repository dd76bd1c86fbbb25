import type { Command } from 'commander'
import { type Json, segment, textOf, toObject } from '../api.ts'
import { show, signedIn } from '../context.ts'
import { CliError, EXIT } from '../exit-code.ts'
import type { Column } from '../output/format.ts'

const SERVICES = ['identity', 'policy', 'session', 'tunnel-broker', 'audit']

/** A whole log is folded. */
const REBUILD_MS_MAX = 17 * 60_000

const PROJECTION: readonly Column[] = [
  ['SERVICE', (row) => textOf(row['service'])],
  ['PROJECTION', (row) => textOf(row['projection'])],
  ['EVENTS', (row) => textOf(row['events'])],
  ['RESULT', (row) => (row['equal'] === true ? 'equal' : 'DIFFERENT')],
]

export function addRebuild(program: Command): void {
  program
    .command('rebuild')
    .description('empty every projection, fold the logs again, and compare')
    .argument('[service...]', SERVICES.join(', '), SERVICES)
    .option('--verify', 'keep a projection as it was where the fold differs')
    .action(async (services: string[], { verify }: { verify?: true }, command: Command) => {
      const api = signedIn()
      const rows: Json[] = []
      const unknown = services.find((service) => !SERVICES.includes(service))
      if (unknown !== undefined) {
        const known = SERVICES.join(', ')
        throw new CliError(EXIT.usage, `"${unknown}" owns no log; ${known} do`)
      }
      for (const service of services) {
        const path = `/v1/logs/${segment(service)}/rebuild`
        const body = { verify: verify === true }
        const { projections } = await api.call('POST', path, body, { msMax: REBUILD_MS_MAX })
        if (Array.isArray(projections)) {
          rows.push(...projections.map((one) => ({ service, ...toObject(one) })))
        }
      }
      show(command, rows, PROJECTION)
      if (rows.some((row) => row['equal'] !== true)) {
        throw new CliError(EXIT.refused, 'a projection is not the fold of its log')
      }
    })
}
