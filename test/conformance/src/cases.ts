import { z } from 'zod'
import type { Check } from './check.ts'
import { type JsonLine, parseJsonLines } from './json-lines.ts'
import { readRequestCase, runRequestCase } from './request-case.ts'
import { emptyFile } from './vectors.ts'

const oneCase = z.object({
  id: z.string().min(1),
  area: z.string().default(''),
  setup: z.string().default(''),
  request: z.string(),
  expect: z.string(),
})
type Case = z.output<typeof oneCase>

/**
 * A check for each line of a file of cases. One that is a request with a plain expectation is run as
 * it is written; what is told in words is run by the checks of its id.
 */
export function caseChecks(name: string, content: string, worded: readonly Check[]): Check[] {
  const lines = parseJsonLines(content)
  if (lines.length === 0) return [emptyFile(name)]
  return lines.flatMap((line) => checksOf(name, line, worded))
}

function checksOf(name: string, line: JsonLine, worded: readonly Check[]): Check[] {
  const at = `${name}:${line.number}`
  const read = readCase(line)
  if ('problem' in read) return [failing(at, line.text.slice(0, 200), read.problem)]
  const { case: one } = read
  const title = `${one.request} → ${one.expect}`
  const wanted = readRequestCase(one)
  const asWritten: Check[] =
    wanted === undefined
      ? []
      : [
          {
            id: one.id,
            title,
            run: async (worlds) => await runRequestCase(await worlds.recording(), wanted),
          },
        ]
  const byId = worded.filter(({ id }) => id === one.id)
  const all = [...asWritten, ...byId]
  if (all.length > 0) return all
  return [
    failing(one.id, title, `${at}: the case is told in words, and no check has the id ${one.id}`),
  ]
}

function failing(id: string, title: string, problem: string): Check {
  return {
    id,
    title,
    run() {
      throw new Error(problem)
    },
  }
}

function readCase(line: JsonLine): { case: Case } | { problem: string } {
  if ('problem' in line) return { problem: `line ${line.number} is ${line.problem}` }
  const parsed = oneCase.safeParse(line.value)
  if (parsed.success) return { case: parsed.data }
  return { problem: `line ${line.number} is no case: ${z.prettifyError(parsed.error)}` }
}
