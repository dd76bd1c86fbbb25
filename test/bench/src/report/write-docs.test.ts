import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { environment } from '../config.ts'
import type { Results } from '../results.ts'
import { unmeasuredFor, writeDocs } from './write-docs.ts'

const NOTHING: Results = {
  startedAt: '2026-11-30T00:00:00Z',
  minutes: 1,
  machine: {
    processors: '2 x some',
    memoryGiB: 1,
    system: 'linux',
    node: 'v24',
    go: 'go1.26',
    loadBefore: 0,
    openFilesMax: 1000,
  },
  rounds: 1,
  quick: false,
  loads: [],
  watches: [],
  work: [],
  neighbours: [],
  scale: [],
  notes: [],
  failures: [],
}

const read = () =>
  ['performance', 'scaling'].map((name) =>
    readFileSync(join(environment.root, `docs/${name}.md`), 'utf8'),
  )

test('a run that has not measured all that a document holds leaves it as it is, and says why', () => {
  const before = read()
  const said = writeDocs(NOTHING)
  expect(read()).toEqual(before)
  expect(said[0]).toMatch(/^docs\/performance\.md stays as it is, without get, .*, work$/)
  expect(said[1]).toBe('docs/scaling.md stays as it is, without scale, work')
})

test('a document wants the lines that it holds, and no others', () => {
  expect(unmeasuredFor('docs/performance.md', NOTHING)).not.toContain('scale')
  expect(unmeasuredFor('docs/performance.md', NOTHING)).toContain('watch-h1')
})
