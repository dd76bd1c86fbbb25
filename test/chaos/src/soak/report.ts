import type { Done } from './activity.ts'
import type { Figure, Finding } from './verdict.ts'

const MIB = 1024 * 1024
const BYTES: readonly Figure[] = ['residentBytes', 'heapBytes', 'externalBytes']
const TITLES: Readonly<Record<Figure, string>> = {
  residentBytes: 'resident, MiB',
  heapBytes: 'heap after collection, MiB',
  externalBytes: 'outside the heap, MiB',
  handles: 'handles',
  files: 'open files',
  sockets: 'of them sockets',
}

/** A table in Markdown: a part's figures before, in the middle, at the last look under load, and after. */
export function findingsTable(findings: ReadonlyMap<string, readonly Finding[]>): string {
  const rows = [...findings].flatMap(([part, found]) =>
    found.map(({ figure, before, middle, last, after, growth, allowed }) => {
      const show = (value: number) =>
        BYTES.includes(figure) ? (value / MIB).toFixed(1) : String(Math.round(value))
      const cells = [before, middle, last, after, growth, allowed].map(show)
      return `| ${[part, TITLES[figure], ...cells].join(' | ')} |`
    }),
  )
  return [
    '| part | figure | before | half time | end | after all left | growth in 2nd half | allowed |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n')
}

export function activitiesTable(done: readonly Done[], requests: number): string {
  return [
    '| who | turns | failed |',
    '|---|---|---|',
    ...done.map(({ name, turns, failures }) => `| ${name} | ${turns} | ${failures.length} |`),
    `| raw requests, HTTP/1.1 and HTTP/2 | ${requests} | |`,
  ].join('\n')
}
