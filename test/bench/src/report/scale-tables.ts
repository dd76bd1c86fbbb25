import type { Results } from '../results.ts'
import { needOf } from '../scale/model.ts'
import type { ScaleRun } from '../scale/scale-run.ts'
import { spreadOf } from '../statistics.ts'
import type { Table } from './table.ts'

const KIB = 1024
const MIB = 1024 ** 2
const PARTS = [
  'gateway',
  'relay',
  'agents',
  'session',
  'tunnel-broker',
  'identity',
  'policy',
  'audit',
  'postgres',
]
/** 10,000 users, each on ten clusters at a time. */
const LARGE = { clusters: 1_000, sessions: 100_000 }

/** What one more of everything costs, and what that comes to. */
export function scaleTables(results: Results): Table[] {
  const run = results.scale.at(-1)
  const memory = inMemory(results)
  const tables = memory === undefined ? [] : [memory]
  return run === undefined ? tables : [...tables, slopes(run), totals(run)]
}

function inMemory({ work }: Results): Table | undefined {
  if (work.length === 0) return undefined
  const row = (name: string, figure: (run: Results['work'][number]) => number) => [
    name,
    (spreadOf(work.map(figure)).median / KIB).toFixed(2),
  ]
  return {
    title: 'one more, in the memory of every gateway and of session',
    head: ['KiB'],
    rows: [
      row('user with a token', (run) => run.userBytes),
      row('grant', (run) => run.grantBytes),
      row('cluster', (run) => run.clusterBytes),
      row('user who is active on a cluster: his compiled grants', (run) => run.compiledBytes),
    ],
  }
}

function slopes(run: ScaleRun): Table {
  const open = run.opening.at(-1)
  const kib = (bytes: number | undefined) => ((bytes ?? 0) / KIB).toFixed(1)
  return {
    title: 'one more',
    head: [
      'KiB for a cluster',
      'KiB for a session',
      'CPU ms to open a session',
      'idle, % of a processor',
      'CPU ms for a change',
    ],
    rows: PARTS.filter((part) => open?.bytes[part] !== undefined).map((part) => [
      part,
      kib(run.bytesPerCluster[part]),
      kib(run.bytesPerSession[part]),
      ((run.cpuMicrosPerSession[part] ?? 0) / 1000).toFixed(2),
      ((run.idleShare[part] ?? 0) * 100).toFixed(1),
      ((run.changeMicros[part] ?? 0) / 1000).toFixed(0),
    ]),
  }
}

function totals(run: ScaleRun): Table {
  const wanted = { clusters: run.clusters, sessions: run.clusters * run.users }
  const open = run.opening.at(-1)
  const reached = { clusters: run.clusters, sessions: open?.sessions ?? 0 }
  const name = ({ clusters, sessions }: typeof wanted) => {
    const watches = sessions * run.watchesPerSession
    return `${clusters} clusters, ${sessions} sessions, ${watches} watches`
  }
  return {
    title: 'MiB (share of a processor while nothing happens)',
    head: [`measured: ${name(reached)}`, `model: ${name(wanted)}`, `model: ${name(LARGE)}`],
    // Agents share processes here, and nowhere else.
    rows: PARTS.filter((part) => part !== 'agents').map((part) => [
      part,
      cell({ bytes: open?.bytes[part] ?? 0, processors: run.idleShare[part] ?? 0 }),
      cell(needOf(run, part, wanted)),
      cell(needOf(run, part, LARGE)),
    ]),
  }
}

function cell({ bytes, processors }: { bytes: number; processors: number }): string {
  return `${(bytes / MIB).toFixed(0)} (${processors.toFixed(2)})`
}
