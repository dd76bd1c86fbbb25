import type { AuditStage } from '../audit/record.ts'
import type { FlowEnd } from '../streams/cuttable-stream.ts'
import type { Cut } from '../streams/live-requests.ts'
import type { Refusal } from './refusal.ts'

/** How a request that was forwarded, or could not be, has ended. */
export type Outcome =
  | { readonly kind: 'refused'; readonly refusal: Refusal }
  | {
      readonly kind: 'answered'
      readonly code: number
      readonly bytes: number
      readonly end: FlowEnd
      readonly cut?: Cut
      /** How the command of an exec ended, as its error channel said. */
      readonly commandStatus?: string
    }

/** Something under way that can be ended from outside. Its outcome is told once, to whoever began it. */
export type Cuttable = {
  cut(why: Cut): void
  /** Ends what its client resumes by itself, where that can be done without harm; else nothing. */
  conclude?(why: Cut): void
}

export function refused(refusal: Refusal): Outcome {
  return { kind: 'refused', refusal }
}

/** How its last record says it. */
export function lastStage(outcome: Outcome): AuditStage {
  const stage = 'ResponseComplete'
  if (outcome.kind === 'refused') {
    const { code, message } = outcome.refusal
    return { stage, response: { code, message } }
  }
  const { code, bytes, end, cut, commandStatus } = outcome
  return {
    stage,
    response: { code, message: cut?.message },
    annotations: {
      bytes: String(bytes),
      end,
      'cut-code': cut === undefined ? undefined : String(cut.code),
      'command-status': commandStatus,
    },
  }
}
