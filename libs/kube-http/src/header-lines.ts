import { headerName } from './header-names.ts'

/** Header lines in the order and number they came in, names as written. Repeated lines stay repeated. */
export type HeaderLines = readonly (readonly [name: string, value: string])[]

/** Visible characters, space, tab and the bytes above ASCII; never CR, LF, NUL or another control. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** RFC 9110, 5.6.2. */
export const isToken = (text: string): boolean => headerName(text).isToken
/** What may stand behind the colon of a header line, one character a byte. */
export const isFieldValue = (text: string): boolean => FIELD_VALUE.test(text)

/** The values of every line with that name; `name` is in lower case. */
export function valuesOf(headers: HeaderLines, name: string): string[] {
  const values: string[] = []
  for (const [written, value] of headers) {
    // Most names differ in their length already.
    if (written.length === name.length && headerName(written).key === name) {
      values.push(value.trim())
    }
  }
  return values
}

/** Node's rawHeaders as lines. */
export function toHeaderLines(rawHeaders: readonly string[]): HeaderLines {
  const lines: [string, string][] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    lines.push([rawHeaders[at] ?? '', rawHeaders[at + 1] ?? ''])
  }
  return lines
}
