import { messageOf } from '@postern/errors'

/** One line of a file of JSON lines; blank ones are left out. */
export type JsonLine = {
  /** Counted from 1, as editors do. */
  readonly number: number
  readonly text: string
} & ({ readonly value: unknown } | { readonly problem: string })

/** Whatever a line holds, it is a line: what is no JSON says so. */
export function parseJsonLines(content: string): JsonLine[] {
  const lines: JsonLine[] = []
  for (const [index, raw] of content.split('\n').entries()) {
    const text = raw.trim()
    if (text === '') continue
    lines.push({ number: index + 1, text, ...parsed(text) })
  }
  return lines
}

function parsed(text: string): { value: unknown } | { problem: string } {
  try {
    const value: unknown = JSON.parse(text)
    return { value }
  } catch (error) {
    return { problem: `not JSON: ${messageOf(error)}` }
  }
}
