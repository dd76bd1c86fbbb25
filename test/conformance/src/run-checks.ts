import { messageOf } from '@postern/errors'
import type { Check, Result } from './check.ts'
import type { Worlds } from './worlds.ts'

const CHECK_MS_MAX = 60 * 60_000

/** Runs them one after the other, whatever becomes of each. */
export async function* runChecks(
  checks: readonly Check[],
  worlds: Worlds,
): AsyncGenerator<Result, void> {
  for (const { id, title, run } of checks) {
    const began = performance.now()
    const failure = await failureOf(async () => await run(worlds))
    const seconds = (performance.now() - began) / 1000
    yield { id, title, seconds, ...(failure === undefined ? {} : { failure }) }
  }
}

async function failureOf(run: () => Promise<void>): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error('it did not end within an hour')), CHECK_MS_MAX)
  })
  try {
    await Promise.race([run(), late])
    return undefined
  } catch (error) {
    return messageOf(error)
  } finally {
    clearTimeout(timer)
  }
}
