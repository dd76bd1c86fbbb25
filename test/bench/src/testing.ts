import type { Results } from './results.ts'

/** A run that has measured nothing: what a test is about is put into it. */
export const NOTHING_MEASURED: Results = {
  startedAt: '2026-01-01T00:00:00Z',
  minutes: 1,
  machine: {
    processors: '2',
    memoryGiB: 8,
    system: 'linux',
    node: 'v24',
    go: 'go1.26',
    loadBefore: 0,
    openFilesMax: 1024,
  },
  rounds: 2,
  quick: false,
  loads: [],
  watches: [],
  work: [],
  neighbours: [],
  scale: [],
  notes: [],
  failures: [],
}
