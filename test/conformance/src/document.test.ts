import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { builtInChecks } from './checks.ts'
import { environment } from './config.ts'

const DOCUMENT = 'docs/kubernetes-compatibility.md'
const CONFORMANCE = 'test/conformance'

const text = readFileSync(join(environment.root, DOCUMENT), 'utf8')
const ids = new Set(
  builtInChecks({ requests: 1, forged: 1, idleSeconds: 1, seed: 1 }).map(({ id }) => id),
)
/** Lines of files of vectors have ids of their own: the file stands for them. */
const checks = [...ids].filter((id) => !id.includes('.jsonl:'))
const rows = text
  .split('\n')
  .filter((line) => line.startsWith('|') && !/^\|[\s|-]*\||shown by \|$/.test(line))
const rules = rows.filter((line) => /^\| \d+\.\d+ \|/.test(line))

const named = (words: string) => [...words.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)
const shownBy = (row: string) => named(row.split('|').at(-2) ?? '')
const exists = (name: string) =>
  checks.includes(name) ||
  [name, join(CONFORMANCE, name)].some((path) => existsSync(join(environment.root, path)))

const numbered = rules.map((row) => [row.split('|')[1]?.trim() ?? '', row] as const)

test.each(numbered)('rule %s names what shows it', (_number, row) => {
  expect(shownBy(row)).not.toEqual([])
})

test('every check and every file that the page names as showing a rule exists', () => {
  expect(rules.length).toBeGreaterThan(100)
  const missing = rows.flatMap((row) =>
    /^\| (?:\d|[a-z`P])/.test(row) ? shownBy(row).filter((name) => !exists(name)) : [],
  )
  expect(missing).toEqual([])
})

test('every check stands on the page', () => {
  const mentioned = new Set(rules.flatMap(shownBy))
  expect(checks.filter((id) => !mentioned.has(id))).toEqual([])
})

test('each rule has a number of its own, in order', () => {
  const numbers = numbered.map(([number]) => number)
  expect(numbers).toEqual([...new Set(numbers)])
  const sorted = numbers.toSorted((a, b) => {
    const [left = [], right = []] = [a, b].map((one) => one.split('.').map(Number))
    return (left[0] ?? 0) - (right[0] ?? 0) || (left[1] ?? 0) - (right[1] ?? 0)
  })
  expect(numbers).toEqual(sorted)
})
