import type { Result } from './tool.ts'

/** Where results go while they come, and what is said at the end. */
export type Report = {
  result(result: Result): void
  end(results: readonly Result[]): void
}

export function countOf(results: readonly Result[], kind: Result['outcome']['kind']): number {
  return results.filter(({ outcome }) => outcome.kind === kind).length
}

/** A line for each, for a person. */
export function textReport(write: (text: string) => void): Report {
  return {
    result({ tool, title, seconds, outcome }) {
      const name = `${tool}: ${title}`
      const took = seconds < 1 ? '' : ` (${seconds.toFixed(1)} s)`
      switch (outcome.kind) {
        case 'passed':
          write(`ok ${name}${took}\n`)
          break
        case 'failed':
          write(`FAILED ${name}${took}\n${outcome.why.replaceAll(/^/gm, '    ')}\n`)
          break
        case 'not-run':
          write(`not run: ${name}: ${outcome.why}\n`)
      }
    },
    end(results) {
      const notRun = countOf(results, 'not-run')
      const also = notRun === 0 ? '' : `, ${notRun} not run`
      write(`${countOf(results, 'passed')} passed, ${countOf(results, 'failed')} failed${also}\n`)
    },
  }
}

/** One JSON object at the end, for programs. */
export function jsonReport(write: (text: string) => void): Report {
  return {
    result() {},
    end(results) {
      const passed = countOf(results, 'passed')
      const failed = countOf(results, 'failed')
      const notRun = countOf(results, 'not-run')
      write(`${JSON.stringify({ passed, failed, notRun, results })}\n`)
    },
  }
}
