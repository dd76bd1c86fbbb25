import { deepStrictEqual } from 'node:assert/strict'
import { normalized } from '@postern/bootstrap'
import type { Exercise } from './tool.ts'
import type { ClientWay, Ways } from './ways.ts'

/** @throws AssertionError where the client says something else through Postern than directly */
export async function compareWays({ play }: Exercise, { direct, postern }: Ways): Promise<void> {
  const said = async (way: ClientWay) => normalized(await play(way), way).split('\n')
  const [wanted, seen] = await Promise.all([said(direct), said(postern)])
  deepStrictEqual(seen, wanted)
}
