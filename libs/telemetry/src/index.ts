export type { Log } from './log.ts'
export type { Metrics } from './metrics.ts'
