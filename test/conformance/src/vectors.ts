import { deepStrictEqual } from 'node:assert'
import { parseRequestInfo } from '@postern/access'
import { Rejection } from '@postern/errors'
import { z } from 'zod'
import type { Check } from './check.ts'
import { type JsonLine, parseJsonLines } from './json-lines.ts'

/** Those of its fields that a line names are compared, and no others. */
const requestInfo = z
  .strictObject({
    IsRes: z.boolean(),
    Verb: z.string(),
    Prefix: z.string(),
    Group: z.string(),
    Version: z.string(),
    NS: z.string(),
    Res: z.string(),
    Sub: z.string(),
    Name: z.string(),
    Parts: z.array(z.string()).nullable(),
    FieldSel: z.string(),
    LabelSel: z.string(),
  })
  .partial()
  .refine((info) => Object.keys(info).length > 0, 'must name a field')

const vector = z.object({
  /** "METHOD target". */
  in: z.string().regex(/^\S* \/.*$/s, 'must be a method, a space and a path'),
  /** What Go makes of the target's path. */
  path: z.string().optional(),
  /** Null where kube-apiserver answers an error. */
  ri: requestInfo.nullable(),
})
type Vector = z.output<typeof vector>

/** A check for each line of a file of requests with the RequestInfo that kube-apiserver makes of them. */
export function vectorChecks(name: string, content: string): Check[] {
  const lines = parseJsonLines(content)
  if (lines.length === 0) return [emptyFile(name)]
  return lines.map((line) => {
    const id = `${name}:${line.number}`
    const read = readVector(line)
    if ('problem' in read) {
      return { id, title: line.text.slice(0, 200), run: () => fail(read.problem) }
    }
    const title = `${read.vector.in} is understood as kube-apiserver understands it`
    return { id, title, run: () => compare(read.vector) }
  })
}

export function emptyFile(name: string): Check {
  return { id: name, title: `${name} holds something`, run: () => fail('there is no line in it') }
}

function readVector(line: JsonLine): { vector: Vector } | { problem: string } {
  if ('problem' in line) return { problem: `line ${line.number} is ${line.problem}` }
  const parsed = vector.safeParse(line.value)
  if (parsed.success) return { vector: parsed.data }
  return { problem: `line ${line.number} is no vector: ${z.prettifyError(parsed.error)}` }
}

function fail(problem: string): never {
  throw new Error(problem)
}

function compare(expected: Vector): void {
  const space = expected.in.indexOf(' ')
  const seen = understood(expected.in.slice(0, space), expected.in.slice(space + 1))
  if (expected.ri === null || seen === 'error') {
    deepStrictEqual(seen, expected.ri === null ? 'error' : expected.ri)
    return
  }
  const { path, ...info } = seen
  if (expected.path !== undefined) deepStrictEqual({ path }, { path: expected.path })
  const wanted = expected.ri
  const compared = Object.fromEntries(Object.entries(info).filter(([name]) => name in wanted))
  deepStrictEqual(compared, wanted)
}

function understood(method: string, target: string) {
  try {
    const info = parseRequestInfo(method, target)
    return {
      IsRes: info.isResourceRequest,
      Verb: info.verb,
      Prefix: info.apiPrefix,
      Group: info.apiGroup,
      Version: info.apiVersion,
      NS: info.namespace,
      Res: info.resource,
      Sub: info.subresource,
      Name: info.name,
      FieldSel: info.fieldSelector,
      LabelSel: info.labelSelector,
      Parts: info.isResourceRequest ? info.parts : null,
      path: info.path,
    }
  } catch (error) {
    if (error instanceof Rejection && error.reason === 'RESOURCE_MISSING') return 'error'
    throw error
  }
}
