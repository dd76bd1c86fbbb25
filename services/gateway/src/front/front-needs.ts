import type { HeadBudget } from '@postern/kube-http'
import type { RequestHandler } from './front-interface.ts'
import type { FrontLimits } from './front-limits.ts'

/** What every connection of a client needs, whatever it speaks. */
export type FrontNeeds = {
  readonly handle: RequestHandler
  /** Something no request could be read from. */
  readonly onMalformed: (remoteAddress: string, problem: string) => void
  /** Calls `flush` before the event loop goes on. */
  readonly flushSoon: (written: { flush(): void }) => void
  readonly headBudget: HeadBudget
  readonly limits: FrontLimits
}
