import { messageOf } from '@postern/errors'
import { compareWays } from './compare-ways.ts'
import { type Exercise, MissingToolError, type Result, type Tool } from './tool.ts'
import { type ClientsWorld, makePods, type Ways } from './ways.ts'

const EXERCISE_MS_MAX = 10 * 60_000

/** Plays every exercise of every tool, one after the other, whatever becomes of each. */
export async function* runTools(
  tools: readonly Tool[],
  { world, say }: { world: () => Promise<ClientsWorld>; say: (text: string) => void },
): AsyncGenerator<Result, void> {
  for (const tool of tools) {
    say(`${tool.name} ${tool.version}`)
    const missing = await prepare(tool)
    if (missing !== undefined) {
      for (const { title } of tool.exercises)
        yield { tool: tool.id, title, seconds: 0, outcome: missing }
      continue
    }
    const ways = await waysFor(await world(), tool)
    for (const exercise of tool.exercises) yield await run(tool, exercise, ways)
    await ways.close()
  }
}

async function prepare(tool: Tool): Promise<Result['outcome'] | undefined> {
  try {
    await tool.prepare()
    return undefined
  } catch (error) {
    const kind = error instanceof MissingToolError ? 'not-run' : 'failed'
    return { kind, why: messageOf(error) }
  }
}

/** Namespaces of the tool's own, with pods where it needs them. */
export async function waysFor(world: ClientsWorld, tool: Tool): Promise<Ways> {
  const ways = await world.openWays(tool.id.replaceAll('.', ''))
  if (tool.pods) await makePods(world, ways)
  return ways
}

async function run(tool: Tool, exercise: Exercise, ways: Ways): Promise<Result> {
  const began = performance.now()
  const why = await failureOf(exercise, ways)
  return {
    tool: tool.id,
    title: exercise.title,
    seconds: (performance.now() - began) / 1000,
    outcome: why === undefined ? { kind: 'passed' } : { kind: 'failed', why },
  }
}

async function failureOf(exercise: Exercise, ways: Ways): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it did not end in time')), EXERCISE_MS_MAX)
  })
  try {
    await Promise.race([compareWays(exercise, ways), late])
    return undefined
  } catch (error) {
    return messageOf(error)
  } finally {
    clearTimeout(timer)
  }
}
