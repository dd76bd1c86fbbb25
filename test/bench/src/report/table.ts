/** Rows under a head; the first column says what a row is about. */
export type Table = {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

/** For a terminal: columns of equal width, the first aligned to the left. */
export function toText({ title, head, rows }: Table): string {
  const lines = [[title, ...head], ...rows]
  const widths = [title, ...head].map((_, at) =>
    Math.max(...lines.map((line) => (line[at] ?? '').length)),
  )
  const toLine = (line: readonly string[]) =>
    widths
      .map((width, at) =>
        at === 0 ? (line[at] ?? '').padEnd(width) : (line[at] ?? '').padStart(width),
      )
      .join('  ')
      .trimEnd()
  return lines.map(toLine).join('\n')
}

/** For a document. */
export function toMarkdown({ title, head, rows }: Table): string {
  const toLine = (line: readonly string[]) => `| ${line.join(' | ')} |`
  const columns = [title, ...head]
  const rule = columns.map((_, at) => (at === 0 ? '---' : '---:'))
  return [toLine(columns), `|${rule.join('|')}|`, ...rows.map(toLine)].join('\n')
}
