import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  bitsToBytes,
  bytesOf,
  createNghttp2Client,
  EOS_BITS,
  encodeHuffman,
  huffmanBits,
  indexed,
  integer,
  literal,
  outcome,
  sizeOf,
  tableOf,
  tableSize,
} from './field-coding-testing.ts'
import { FieldCodingError, FieldDecoder, type FieldLine } from './field-decoder.ts'
import { STATIC_TABLE } from './static-table.ts'

const seed = Date.now() & 0x7fffffff
const NOTHING = Buffer.alloc(0)
const createDecoder = (
  bounds: { tableBytes?: number; listBytesMax?: number; linesMax?: number } = {},
) => new FieldDecoder({ tableBytes: 4096, listBytesMax: 1 << 20, linesMax: 1000, ...bounds })
const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

test.each<{ name: string; block: string; line: FieldLine; table: FieldLine[] }>([
  {
    name: 'C.2.1, a literal with indexing',
    block: '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572',
    line: ['custom-key', 'custom-header'],
    table: [['custom-key', 'custom-header']],
  },
  {
    name: 'C.2.2, a literal without indexing',
    block: '040c 2f73 616d 706c 652f 7061 7468',
    line: [':path', '/sample/path'],
    table: [],
  },
  {
    name: 'C.2.3, a literal never indexed',
    block: '1008 7061 7373 776f 7264 0673 6563 7265 74',
    line: ['password', 'secret'],
    table: [],
  },
  { name: 'C.2.4, an indexed field', block: '82', line: [':method', 'GET'], table: [] },
])('RFC 7541, $name, is decoded', ({ block, line, table }) => {
  const decoder = createDecoder()
  expect(decoder.decode(hex(block))).toEqual([line])
  expect(tableOf(decoder)).toEqual(table)
})

const GET: FieldLine[] = [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
]
const AUTHORITY: FieldLine = [':authority', 'www.example.com']
const NO_CACHE: FieldLine = ['cache-control', 'no-cache']
const CUSTOM: FieldLine = ['custom-key', 'custom-value']
const requests: { lines: FieldLine[]; table: FieldLine[]; size: number }[] = [
  { lines: [...GET, AUTHORITY], table: [AUTHORITY], size: 57 },
  { lines: [...GET, AUTHORITY, NO_CACHE], table: [NO_CACHE, AUTHORITY], size: 110 },
  {
    lines: [[':method', 'GET'], [':scheme', 'https'], [':path', '/index.html'], AUTHORITY, CUSTOM],
    table: [CUSTOM, NO_CACHE, AUTHORITY],
    size: 164,
  },
]

const PRIVATE: FieldLine = ['cache-control', 'private']
const DATE_21: FieldLine = ['date', 'Mon, 21 Oct 2013 20:13:21 GMT']
const DATE_22: FieldLine = ['date', 'Mon, 21 Oct 2013 20:13:22 GMT']
const LOCATION: FieldLine = ['location', 'https://www.example.com']
const GZIP: FieldLine = ['content-encoding', 'gzip']
const COOKIE: FieldLine = ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1']
const answers: typeof requests = [
  {
    lines: [[':status', '302'], PRIVATE, DATE_21, LOCATION],
    table: [LOCATION, DATE_21, PRIVATE, [':status', '302']],
    size: 222,
  },
  {
    lines: [[':status', '307'], PRIVATE, DATE_21, LOCATION],
    table: [[':status', '307'], LOCATION, DATE_21, PRIVATE],
    size: 222,
  },
  {
    lines: [[':status', '200'], PRIVATE, DATE_22, LOCATION, GZIP, COOKIE],
    table: [COOKIE, GZIP, DATE_22],
    size: 215,
  },
]

test.each([
  {
    name: 'C.3, requests without Huffman',
    tableBytes: 4096,
    steps: requests,
    blocks: [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
  },
  {
    name: 'C.4, requests with Huffman',
    tableBytes: 4096,
    steps: requests,
    blocks: [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
  },
  {
    name: 'C.5, answers without Huffman, with evictions',
    tableBytes: 256,
    steps: answers,
    blocks: [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
       2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
       6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
       54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
       5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
       3d31`,
    ],
  },
  {
    name: 'C.6, answers with Huffman, with evictions',
    tableBytes: 256,
    steps: answers,
    blocks: [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
       2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
       77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
       9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ],
  },
])('RFC 7541, $name: lines and table are as it says', ({ tableBytes, steps, blocks }) => {
  const decoder = createDecoder({ tableBytes })
  for (const [at, block] of blocks.entries()) {
    const step = steps[at]
    expect(decoder.decode(hex(block))).toEqual(step?.lines)
    expect(tableOf(decoder)).toEqual(step?.table)
    expect(bytesIn(tableOf(decoder))).toBe(step?.size)
  }
})

test('every index of the static table stands for its line, always the same object', () => {
  const decoder = createDecoder()
  for (const [at, line] of STATIC_TABLE.entries()) {
    expect(decoder.decode(indexed(at + 1))?.[0]).toBe(line)
  }
  expect(STATIC_TABLE).toHaveLength(61)
})

test('a line of the dynamic table is the object it was when it came', () => {
  const decoder = createDecoder()
  const [first] = decoder.decode(literal('indexing', 'a', 'b')) ?? []
  decoder.decode(literal('indexing', 'c', 'd'))
  expect(decoder.decode(indexed(63))?.[0]).toBe(first)
})

const token = fc.stringMatching(/^[a-z0-9!#$%&'*+.^_`|~-]{1,20}$/)
const anyByte = fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code))
/** Few, so that they come again; and some that are long, or of all bytes but NUL, which node ends texts with. */
const name = fc.oneof(
  fc.constantFrom('accept', 'authorization', 'cookie', 'content-type', 'user-agent', 'x-a', 'x-b'),
  token.map((text) => `x-${text}`),
)
const value = fc.oneof(
  fc.constantFrom('', 'application/json', 'kubectl/v1.34', 'Bearer abc', '0'),
  fc.string({ maxLength: 60 }).filter((text) => !text.includes('\0')),
  fc.array(anyByte, { maxLength: 80 }).map((characters) => characters.join('')),
  fc.nat({ max: 6000 }).map((length) => 'v'.repeat(length)),
)
const path = fc.oneof(
  fc.constant('/'),
  fc.webPath().map((text) => `/api${text}`),
)
const request = fc
  .tuple(
    fc.constantFrom('GET', 'POST', 'PATCH'),
    path,
    fc.array(fc.tuple(name, value), { maxLength: 12 }),
  )
  .map(([method, target, fields]): FieldLine[] => [
    [':method', method],
    [':authority', 'gateway.example.com'],
    [':scheme', 'https'],
    [':path', target],
    ...fields,
  ])

test('what nghttp2 encodes, request by request, is decoded to the same lines', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 8 }), async (lists) => {
      using client = createNghttp2Client()
      const decoder = createDecoder()
      for (const [at, block] of (await client.encode(lists)).entries()) {
        expect(decoder.decode(block)).toEqual(lists[at])
      }
    }),
    { seed, numRuns: 150 },
  )
})

test('every byte but NUL comes through the Huffman code of nghttp2', async () => {
  using client = createNghttp2Client()
  const list: FieldLine[] = [
    [':method', 'GET'],
    [':authority', 'a'],
    [':scheme', 'https'],
    [':path', '/'],
  ]
  // Around a byte of a long code, so many short ones that the whole is shorter coded than not.
  for (let byte = 1; byte < 256; byte += 1) {
    list.push(['x', `${'e'.repeat(byte % 8)}${String.fromCharCode(byte)}${'e'.repeat(40)}`])
  }
  const [block = NOTHING] = await client.encode([list])
  expect(createDecoder().decode(block)).toEqual(list)
  expect(block.length).toBeLessThan(255 * 40)
})

/** What a peer may say: of the model's table, `pick` chooses an index among those there are. */
type Step =
  | { kind: 'size'; bytes: number }
  | { kind: 'indexed'; pick: number }
  | { kind: 'literal'; how: 'indexing' | 'plain' | 'never'; name: string | number; value: string }

const byteText = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'))
const lineStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('indexed' as const), pick: fc.nat() }),
  fc.record({
    kind: fc.constant('literal' as const),
    how: fc.constantFrom(
      'indexing' as const,
      'indexing' as const,
      'plain' as const,
      'never' as const,
    ),
    name: fc.oneof(byteText(20), fc.nat()),
    value: fc.oneof(byteText(30), byteText(300)),
  }),
)
const TABLE_BYTES = 600
const sizeStep: fc.Arbitrary<Step> = fc.record({
  kind: fc.constant('size' as const),
  bytes: fc.oneof(fc.nat({ max: TABLE_BYTES }), fc.constantFrom(0, TABLE_BYTES)),
})
const steps = fc
  .tuple(fc.array(sizeStep, { maxLength: 2 }), fc.array(lineStep, { maxLength: 8 }))
  .map(([sizes, lines]) => [...sizes, ...lines])

const bytesIn = (lines: readonly FieldLine[]) => lines.reduce((sum, line) => sum + sizeOf(line), 0)

/** The table as RFC 7541, 2.3.2 and 4, tells it: an array, newest first. */
function createModel() {
  let table: FieldLine[] = []
  let tableBytes = TABLE_BYTES
  const fit = () => {
    while (bytesIn(table) > tableBytes) table.pop()
  }
  const chosen = (pick: number) => {
    const index = pick % (STATIC_TABLE.length + table.length)
    const line = [...STATIC_TABLE, ...table][index] ?? ['', '']
    return { index: index + 1, line }
  }
  return {
    table: () => table,
    tableBytes: () => tableBytes,
    /** The bytes of a step, and the line it stands for. */
    take(step: Step, coding: 'plain' | 'huffman'): { bytes: Buffer; line?: FieldLine } {
      switch (step.kind) {
        case 'size':
          tableBytes = step.bytes
          fit()
          return { bytes: tableSize(step.bytes) }
        case 'indexed': {
          const { index, line } = chosen(step.pick)
          return { bytes: indexed(index), line }
        }
        case 'literal': {
          const named = typeof step.name === 'number' ? chosen(step.name) : undefined
          const line: FieldLine = [named?.line[0] ?? String(step.name), step.value]
          if (step.how === 'indexing') {
            table = [line, ...table]
            fit()
          }
          return { bytes: literal(step.how, named?.index ?? line[0], step.value, coding), line }
        }
      }
    },
  }
}

test('lines and table are those of a naive model, and the table is never larger than it may be', () => {
  fc.assert(
    fc.property(
      fc.array(steps, { minLength: 1, maxLength: 12 }),
      fc.constantFrom('plain' as const, 'huffman' as const),
      (blocks, coding) => {
        const model = createModel()
        const decoder = createDecoder({ tableBytes: TABLE_BYTES })
        for (const block of blocks) {
          const taken = block.map((step) => model.take(step, coding))
          const lines = taken.flatMap(({ line }) => (line === undefined ? [] : [line]))
          expect(decoder.decode(Buffer.concat(taken.map(({ bytes }) => bytes)))).toEqual(lines)
          const table = tableOf(decoder)
          expect(table).toEqual(model.table())
          expect(bytesIn(table)).toBeLessThanOrEqual(model.tableBytes())
        }
      },
    ),
    { seed, numRuns: 500 },
  )
})

test('every cut of a block decodes to the beginning of its lines, or is an error', () => {
  fc.assert(
    fc.property(steps, fc.constantFrom('plain' as const, 'huffman' as const), (list, coding) => {
      const model = createModel()
      const block = Buffer.concat(list.map((step) => model.take(step, coding).bytes))
      const whole = createDecoder({ tableBytes: TABLE_BYTES }).decode(block) ?? []
      for (let end = 0; end < block.length; end += 1) {
        const cut = outcome(createDecoder({ tableBytes: TABLE_BYTES }), block.subarray(0, end))
        expect(cut).toEqual(cut === 'error' ? cut : whole.slice(0, cut.length))
      }
    }),
    { seed, numRuns: 100 },
  )
})

test('any bytes are lines within the bounds, or a coding error, and nothing else', () => {
  const bounds = { tableBytes: 256, listBytesMax: 500, linesMax: 8 }
  const block = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc
      .tuple(steps, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 }))
      .map(([list, changes]) => {
        const model = createModel()
        const bytes = Buffer.concat(list.map((step) => model.take(step, 'huffman').bytes))
        for (const [at, byte] of changes) if (bytes.length > 0) bytes[at % bytes.length] = byte
        return bytes
      }),
  )
  fc.assert(
    fc.property(fc.array(block, { minLength: 1, maxLength: 6 }), (blocks) => {
      const decoder = createDecoder(bounds)
      for (const bytes of blocks) {
        const lines = outcome(decoder, bytes)
        if (lines === 'error') break
        if (lines === 'too much') continue
        expect(lines.length).toBeLessThanOrEqual(bounds.linesMax)
        expect(bytesIn(lines)).toBeLessThanOrEqual(bounds.listBytesMax)
        expect(bytesIn(tableOf(decoder))).toBeLessThanOrEqual(bounds.tableBytes)
      }
    }),
    { seed, numRuns: 2000 },
  )
})

const huffmanValue = (bytes: Buffer) =>
  Buffer.concat([Buffer.from([0x00, 1, 0x61]), integer(0x80, 7, bytes.length), bytes])

test.each([
  { name: 'index 0', block: indexed(0) },
  { name: 'an index beyond both tables', block: indexed(62) },
  { name: 'an index far beyond both tables', block: indexed(2 ** 28) },
  { name: 'the name of an index beyond both tables', block: literal('plain', 62, 'v') },
  { name: 'a table size above what is allowed', block: tableSize(4097) },
  { name: 'a table size behind a line', block: Buffer.concat([indexed(2), tableSize(0)]) },
  { name: 'an index above 2^28', block: indexed(2 ** 28 + 1) },
  { name: 'a length above 2^28', block: Buffer.concat([hex('00'), integer(0, 7, 2 ** 28 + 1)]) },
  { name: 'an integer that is 2 once it wraps', block: indexed(2 ** 32 + 2) },
  { name: 'an integer of many zeros', block: hex('ff 80 80 80 80 80 00') },
  {
    name: 'an integer without an end',
    block: Buffer.concat([hex('ff'), Buffer.alloc(5000, 0x80)]),
  },
  { name: 'a table size without an end', block: hex('3f') },
  { name: 'a name longer than its block', block: hex('00 05 61') },
  { name: 'a value longer than its block', block: hex('00 01 61 02 61') },
  { name: 'a coded value longer than its block', block: hex('00 01 61 82 ff') },
  { name: 'a literal without a value', block: hex('00 01 61') },
  { name: 'a literal without a name', block: hex('40') },
  {
    name: 'a padding of more than 7 bits',
    block: huffmanValue(bitsToBytes(`${huffmanBits('&')}11111111`)),
  },
  {
    name: 'a padding that is not all ones',
    block: huffmanValue(bitsToBytes(`${huffmanBits('a')}110`)),
  },
  { name: 'EOS in a value', block: huffmanValue(bitsToBytes(EOS_BITS)) },
])('$name is a coding error', ({ block }) => {
  expect(() => createDecoder().decode(block)).toThrow(FieldCodingError)
})

test.each([0, 1, 30, 31, 126, 127, 128, 254, 255, 1337, 4000])(
  'a string of %i bytes is as long as it says',
  (length) => {
    const text = 'x'.repeat(length)
    const block = Buffer.concat([
      literal('plain', text, text),
      literal('never', 1, text, 'huffman'),
    ])
    expect(createDecoder().decode(block)).toEqual([
      [text, text],
      [':authority', text],
    ])
  },
)

test('an integer may end in zeros, up to the fifth byte behind its first', () => {
  const [line] = STATIC_TABLE.slice(14)
  expect(createDecoder().decode(hex('0f 80 80 80 80 00 00'))).toEqual([line])
})

test('an empty block has no lines', () => {
  expect(createDecoder().decode(NOTHING)).toEqual([])
  expect(createDecoder().decode(Buffer.concat([tableSize(0), tableSize(4096)]))).toEqual([])
})

test('a table begins with 4096 bytes where more is allowed, and grows once its peer says so', () => {
  const decoder = createDecoder({ tableBytes: 8192 })
  const line: FieldLine = ['a', 'v'.repeat(3000)]
  const block = literal('indexing', ...line)
  decoder.decode(Buffer.concat([block, block]))
  expect(tableOf(decoder)).toEqual([line])
  decoder.decode(Buffer.concat([tableSize(8192), block]))
  expect(tableOf(decoder)).toEqual([line, line])
})

test('a line that is larger than the table empties it, and is a line all the same', () => {
  const decoder = createDecoder({ tableBytes: 100 })
  decoder.decode(literal('indexing', 'a', 'b'))
  const large: FieldLine = ['a', 'v'.repeat(100)]
  expect(decoder.decode(literal('indexing', 62, large[1]))).toEqual([large])
  expect(tableOf(decoder)).toEqual([])
})

test('a name may be that of the very line that makes room for it', () => {
  const decoder = createDecoder({ tableBytes: 64 })
  decoder.decode(literal('indexing', 'name', 'v'.repeat(28)))
  decoder.decode(literal('indexing', 62, 'w'.repeat(28)))
  expect(tableOf(decoder)).toEqual([['name', 'w'.repeat(28)]])
})

test('a table of no bytes holds nothing', () => {
  const decoder = createDecoder({ tableBytes: 0 })
  expect(decoder.decode(literal('indexing', 'a', 'b'))).toEqual([['a', 'b']])
  expect(tableOf(decoder)).toEqual([])
})

test('what a block of references adds up to is bounded, and the next block is decoded all the same', () => {
  const decoder = createDecoder({ listBytesMax: 1 << 16 })
  const large: FieldLine = ['a', 'v'.repeat(4000)]
  expect(decoder.decode(literal('indexing', ...large))).toEqual([large])
  const references = Buffer.alloc(1 << 20, indexed(62))
  expect(decoder.decode(references)).toBeUndefined()
  const replaced = Buffer.concat([references, literal('indexing', 'b', 'w'), indexed(62)])
  expect(decoder.decode(replaced)).toBeUndefined()
  expect(decoder.decode(indexed(62))).toEqual([['b', 'w']])
})

test('lists are bounded by their bytes and their lines, to the last of each', () => {
  const line: FieldLine = ['a', 'b']
  const block = (count: number) =>
    Buffer.concat(Array.from({ length: count }, () => literal('plain', ...line)))
  const byBytes = createDecoder({ listBytesMax: 5 * 34 })
  expect(byBytes.decode(block(5))).toHaveLength(5)
  expect(byBytes.decode(block(6))).toBeUndefined()
  const byLines = createDecoder({ linesMax: 5 })
  expect(byLines.decode(block(5))).toHaveLength(5)
  expect(byLines.decode(block(6))).toBeUndefined()
})

test('behind its bounds a block is still read as strictly', () => {
  const decoder = createDecoder({ linesMax: 1 })
  const block = Buffer.concat([indexed(2), indexed(2), indexed(0)])
  expect(() => decoder.decode(block)).toThrow(FieldCodingError)
})

test('lines stay as they are when the bytes they came in are used again', () => {
  const block = literal('indexing', 'name', 'value')
  const decoder = createDecoder()
  const lines = decoder.decode(block)
  block.fill(0)
  expect(lines).toEqual([['name', 'value']])
  expect(tableOf(decoder)).toEqual([['name', 'value']])
})

test('names and values are one character a byte, however they are coded', () => {
  const text = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code)).join('')
  const block = Buffer.concat([
    literal('plain', text, text),
    literal('plain', text, text, 'huffman'),
  ])
  expect(createDecoder().decode(block)).toEqual([
    [text, text],
    [text, text],
  ])
  expect(encodeHuffman(text)).not.toEqual(bytesOf(text))
})
