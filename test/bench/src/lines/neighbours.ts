import type { Load } from '../load/run-load.ts'

/** Something that one user does to all others. */
export type Neighbour = { readonly id: string; readonly title: string; readonly load: Load }

const HUGE = '/api/v1/namespaces/bench/events'
const GIB = 1024 * 1024 * 1024

export const neighbours: readonly Neighbour[] = [
  {
    id: 'slow-reader',
    title: 'eight lists of 256 MiB, of which nothing is read',
    load: { mode: 'stall', path: HUGE, conns: 8, warmup: 0, seconds: 60 },
  },
  {
    id: 'huge-list',
    title: 'a list of 256 MiB, again and again',
    load: { mode: 'get', path: HUGE, conns: 1, warmup: 0, seconds: 60 },
  },
  {
    id: 'copy',
    title: 'a cp of a gigabyte from a pod, again and again',
    load: { mode: 'down', bytes: GIB },
  },
  {
    id: 'flood',
    title: 'requests on 32 connections, as fast as they are answered',
    load: { mode: 'flood', conns: 32, warmup: 0, seconds: 5 },
  },
]

/** What the others do meanwhile: 16 users with a connection each, as steadily as controllers. */
export const OTHERS: Load = { mode: 'get', conns: 16, rate: 20, seconds: 4, warmup: 0.5 }
