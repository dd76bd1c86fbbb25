import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { environment } from '../config.ts'
import { NOTHING_MEASURED } from '../testing.ts'
import { unmeasuredFor, writeDocs } from './write-docs.ts'

const read = () =>
  ['performance', 'scaling'].map((name) =>
    readFileSync(join(environment.root, `docs/${name}.md`), 'utf8'),
  )

test('a run that has not measured all that a document holds leaves it as it is, and says why', () => {
  const before = read()
  const said = writeDocs(NOTHING_MEASURED)
  expect(read()).toEqual(before)
  expect(said[0]).toMatch(/^docs\/performance\.md stays as it is, without get, .*, work$/)
  expect(said[1]).toBe('docs/scaling.md stays as it is, without scale, work')
})

test('a document wants the lines that it holds, and no others', () => {
  expect(unmeasuredFor('docs/performance.md', NOTHING_MEASURED)).not.toContain('scale')
  expect(unmeasuredFor('docs/performance.md', NOTHING_MEASURED)).toContain('watch-h1')
})
