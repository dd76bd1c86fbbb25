import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SCALE, WORK } from '../choice.ts'
import { environment } from '../config.ts'
import { loadLines } from '../lines/load-lines.ts'
import { neighbours } from '../lines/neighbours.ts'
import { watchLines } from '../lines/watch-lines.ts'
import type { Results } from '../results.ts'
import { barsOf, provenance, tablesOf, UNEQUAL } from './report.ts'
import { scaleTables } from './scale-tables.ts'
import { toMarkdown } from './table.ts'

/** The lines whose figures a document holds. */
const DOCUMENTS = {
  'docs/performance.md': [...loadLines, ...watchLines, ...neighbours, { id: WORK }],
  'docs/scaling.md': [{ id: SCALE }, { id: WORK }],
} as const

type Document = keyof typeof DOCUMENTS

/** What a run would have to measure as well before it may replace what a document says. */
export function unmeasuredFor(document: Document, results: Results): string[] {
  const { loads, watches, neighbours: beside, work, scale } = results
  const measured = new Set([
    ...[...loads, ...watches].map(({ line }) => line),
    ...beside.map(({ neighbour }) => neighbour),
    ...(work.length > 0 ? [WORK] : []),
    ...(scale.length > 0 ? [SCALE] : []),
  ])
  return DOCUMENTS[document].map(({ id }) => id).filter((id) => !measured.has(id))
}

/**
 * Puts the figures of a run into the documents, where their markers are. A document of which it has not
 * measured everything keeps what it says. Answers what became of each.
 */
export function writeDocs(results: Results): string[] {
  const measured = `Measured: ${provenance(results)}`
  const performance = [barsOf(results), ...tablesOf(results)].filter((table) => table !== undefined)
  const replace = (document: Document, paragraphs: readonly string[]): string => {
    const unmeasured = unmeasuredFor(document, results)
    if (unmeasured.length > 0) return `${document} stays as it is, without ${unmeasured.join(', ')}`
    replaceIn(document, [measured, ...paragraphs])
    return `${document} has these figures now`
  }
  return [
    replace('docs/performance.md', [UNEQUAL, ...performance.map(toMarkdown)]),
    replace('docs/scaling.md', scaleTables(results).map(toMarkdown)),
  ]
}

const BEGIN = '<!-- figures of npm run bench -- --write-docs -->'
const END = '<!-- end of the figures -->'

/** @throws Error for a document without the markers */
function replaceIn(document: Document, paragraphs: readonly string[]): void {
  const file = join(environment.root, document)
  const text = readFileSync(file, 'utf8')
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin === -1 || end < begin) throw new Error(`${document} has no place for figures`)
  const before = text.slice(0, begin + BEGIN.length)
  writeFileSync(file, `${before}\n\n${paragraphs.join('\n\n')}\n\n${text.slice(end)}`)
}
