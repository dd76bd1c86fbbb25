import type { StackName } from '../stacks/stack.ts'

/** Watches that nothing happens on, and then something. */
export type WatchLine = {
  readonly id: string
  readonly title: string
  readonly h2: boolean
  readonly conns: number
  readonly streams: number
  readonly stacks: readonly StackName[]
}

const STACKS: readonly StackName[] = ['postern', 'go-proxy-2']

export const watchLines: readonly WatchLine[] = [
  {
    id: 'watch-h2',
    title: '5,000 watches, HTTP/2, 100 on a connection',
    h2: true,
    conns: 50,
    streams: 100,
    stacks: STACKS,
  },
  {
    id: 'watch-h1',
    title: '5,000 watches, HTTP/1.1, a connection each',
    h2: false,
    conns: 5000,
    streams: 1,
    stacks: STACKS,
  },
]
