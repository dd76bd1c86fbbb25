import { messageOf } from '@postern/errors'
/** The story's own small assertions: each says what was expected, and what came instead. */

export class StoryError extends Error {
  override readonly name = 'StoryError'
}

const SHOWN_CHARACTERS = 1500

export function expectThat(holds: boolean, what: string, seen?: unknown): asserts holds {
  if (holds) return
  const shown = seen === undefined ? '' : `; seen: ${show(seen)}`
  throw new StoryError(`expected ${what}${shown}`)
}

export function expectEqual(seen: unknown, wanted: unknown, what: string): void {
  const left = JSON.stringify(seen)
  const right = JSON.stringify(wanted)
  expectThat(left === right, `${what} to be ${show(wanted)}`, seen)
}

/** Tries until it holds. @throws the last failure once the time is up */
export async function eventually<T>(
  what: string,
  timeoutMs: number,
  attempt: () => Promise<T>,
): Promise<T> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    try {
      return await attempt()
    } catch (cause) {
      if (performance.now() > deadline) {
        throw new StoryError(`${what} did not happen within ${timeoutMs} ms: ${messageOf(cause)}`, {
          cause,
        })
      }
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

function show(value: unknown): string {
  const text = typeof value === 'string' ? value : String(JSON.stringify(value, undefined, 1))
  return text.slice(0, SHOWN_CHARACTERS)
}
