import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { environment } from '../config.ts'
import type { Results } from '../results.ts'
import { barsOf, provenance, tablesOf, UNEQUAL } from './report.ts'
import { scaleTables } from './scale-tables.ts'
import { toMarkdown } from './table.ts'

/** Puts the figures of a run into the documents, where their markers are. */
export function writeDocs(results: Results): void {
  const measured = `Measured: ${provenance(results)}`
  const tables = [barsOf(results), ...tablesOf(results)].filter((table) => table !== undefined)
  replaceIn('docs/performance.md', [measured, UNEQUAL, ...tables.map(toMarkdown)])
  const scale = scaleTables(results)
  if (scale.length > 0) replaceIn('docs/scaling.md', [measured, ...scale.map(toMarkdown)])
}

const BEGIN = '<!-- figures of npm run bench -- --write-docs -->'
const END = '<!-- end of the figures -->'

/** @throws Error for a document without the markers */
function replaceIn(document: string, paragraphs: readonly string[]): void {
  const file = join(environment.root, document)
  const text = readFileSync(file, 'utf8')
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)]
  if (begin === -1 || end < begin) throw new Error(`${document} has no place for figures`)
  const before = text.slice(0, begin + BEGIN.length)
  writeFileSync(file, `${before}\n\n${paragraphs.join('\n\n')}\n\n${text.slice(end)}`)
}
