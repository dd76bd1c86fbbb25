import type { Result } from './check.ts'

/** Where results go while they come, and what is said at the end. */
export type Report = {
  result(result: Result): void
  /** Answers whether everything passed. */
  end(facts: { readonly seed: number }): boolean
}

const QUIET_ABOVE = 300

/** Lines for a person: each failure, and each success while they are few. */
export function textReport(write: (text: string) => void, total: number): Report {
  let passed = 0
  let failed = 0
  return {
    result({ id, title, seconds, failure }) {
      if (failure === undefined) passed += 1
      else failed += 1
      const took = seconds < 1 ? '' : ` (${seconds.toFixed(1)} s)`
      if (failure !== undefined) write(`FAILED ${id}: ${title}${took}\n${indented(failure)}\n`)
      else if (total <= QUIET_ABOVE || !id.includes('.jsonl:')) write(`ok ${id}: ${title}${took}\n`)
    },
    end({ seed }) {
      write(`seed ${seed}\n${passed} passed, ${failed} failed\n`)
      return failed === 0
    },
  }
}

/** One JSON object at the end, for programs. */
export function jsonReport(write: (text: string) => void): Report {
  const results: Result[] = []
  return {
    result: (result) => void results.push(result),
    end({ seed }) {
      const failed = results.filter(({ failure }) => failure !== undefined).length
      const passed = results.length - failed
      write(`${JSON.stringify({ passed, failed, seed, results })}\n`)
      return failed === 0
    },
  }
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '    ')
}
