import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { createLlhttp, hostileRequests, type UnderstoodRequest } from './hostile-requests.ts'
import { RequestReader } from './request-reader.ts'

// oxlint-disable-next-line node/no-process-env -- how long to look, and to repeat a run that failed
const { POSTERN_TEST_FUZZ_RUNS, POSTERN_TEST_FUZZ_SEED } = process.env
const numRuns = Number(POSTERN_TEST_FUZZ_RUNS ?? 3_000)
const seed = Number(POSTERN_TEST_FUZZ_SEED ?? Date.now() & 0x7fffffff)

type Split = UnderstoodRequest & { bodyAt: number; end: number }

const llhttp = createLlhttp()
afterAll(() => llhttp.close())

/** What our reader takes out of the bytes, as far as requests are whole. */
function ours(bytes: Buffer): Split[] {
  const requests: Split[] = []
  let body = ''
  let bodyAt = 0
  const reader = new RequestReader(
    (part) => {
      body += part.toString('latin1')
    },
    { bytesLeft: 1 << 24 },
  )
  let rest = bytes
  while (rest.length > 0 && reader.state !== 'over') {
    const inHead = reader.head === undefined
    rest = reader.push(rest)
    const at = bytes.length - rest.length
    if (inHead) bodyAt = at
    if (reader.state !== 'done' || reader.head === undefined) continue
    const { method, target, lines } = reader.head
    const { headers } = lines
    requests.push({ start: `${method} ${target}`, headers: headers.flat(), body, bodyAt, end: at })
    body = ''
    reader.next()
  }
  return requests
}

/** The ways in which parsers out there are known to be lenient, each a switch. */
type Leniency = {
  lineEnd: RegExp
  lengthWins: boolean
  takesLast: boolean
  chunkedAnywhere: boolean
  joinsFolds: boolean
  trimsNames: boolean
}

/** Where such a parser sees the body of the first request begin and end; NaN where it cannot say. */
function lenientSplit(text: string, leniency: Leniency): { bodyAt: number; end: number } {
  const { lineEnd, lengthWins, takesLast, chunkedAnywhere, joinsFolds, trimsNames } = leniency
  const lines = new RegExp(lineEnd, 'y')
  const fields: [string, string][] = []
  let at = 0
  const line = () => {
    const found = new RegExp(lineEnd, 'g')
    found.lastIndex = at
    const match = found.exec(text)
    if (match === null) return undefined
    const content = text.slice(at, match.index)
    at = match.index + match[0].length
    return content
  }
  // As some do, empty lines before the request are passed over.
  for (lines.lastIndex = 0; lines.test(text); ) at = lines.lastIndex
  line()
  for (let field = line(); field !== ''; field = line()) {
    if (field === undefined) return { bodyAt: Number.NaN, end: Number.NaN }
    const last = fields.at(-1)
    if (/^[ \t]/.test(field) && joinsFolds && last !== undefined) last[1] += field
    const colon = field.indexOf(':')
    const name = field.slice(0, Math.max(0, colon))
    fields.push([(trimsNames ? name.trim() : name).toLowerCase(), field.slice(colon + 1)])
  }
  const bodyAt = at
  const said = (wanted: string) => {
    const values = fields.filter(([name]) => name === wanted).map(([, value]) => value.trim())
    return takesLast ? values.at(-1) : values[0]
  }
  const encoding = said('transfer-encoding')?.toLowerCase()
  const isChunked = chunkedAnywhere ? encoding?.includes('chunked') : encoding === 'chunked'
  const length = said('content-length')
  if (isChunked !== true || (lengthWins && length !== undefined)) {
    return { bodyAt, end: bodyAt + Number.parseInt(length ?? '0', 10) }
  }
  for (;;) {
    const size = Number.parseInt(line() ?? '', 16)
    if (Number.isNaN(size)) return { bodyAt, end: Number.NaN }
    at += size
    if (size === 0) break
    line()
  }
  while (line() !== '') if (at >= text.length) break
  return { bodyAt, end: at }
}

test('nothing is read that llhttp refuses, and everything as llhttp reads it', async () => {
  let accepted = 0
  await fc.assert(
    fc.asyncProperty(hostileRequests, async (text) => {
      const bytes = Buffer.from(text, 'latin1')
      const taken = ours(bytes)
      accepted += taken.length
      const understood = await llhttp.read(bytes)
      const expected = taken.map(({ start, headers, body }) => {
        return { isWhole: true, start, headers, body }
      })
      expect(understood.slice(0, taken.length)).toEqual(expected)
    }),
    { seed, numRuns },
  )
  // Not by refusing everything.
  expect(accepted).toBeGreaterThan(numRuns / 20)
}, 600_000)

test('no request that is read could be split differently by a parser that is lenient in whatever way', () => {
  const leniencies = fc.record({
    lineEnd: fc.constantFrom(/\r\n/, /\r?\n/, /\r\n|\n|\r/),
    lengthWins: fc.boolean(),
    takesLast: fc.boolean(),
    chunkedAnywhere: fc.boolean(),
    joinsFolds: fc.boolean(),
    trimsNames: fc.boolean(),
  })
  fc.assert(
    fc.property(hostileRequests, leniencies, (text, leniency) => {
      const [first] = ours(Buffer.from(text, 'latin1'))
      if (first === undefined) return
      const { bodyAt, end } = first
      // A lone CR is no end of a line inside a body, but to a parser that takes it for one.
      if (leniency.lineEnd.source === '\\r\\n|\\n|\\r' && /\r(?!\n)/.test(text)) return
      expect(lenientSplit(text, leniency)).toEqual({ bodyAt, end })
    }),
    { seed, numRuns: 2 * numRuns },
  )
})
