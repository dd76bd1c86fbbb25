import { afterAll, test } from 'vitest'
import { builtInChecks } from './src/checks.ts'
import { FORGED, IDLE_SECONDS, REQUESTS } from './src/options.ts'
import { createWorlds } from './src/worlds.ts'

const seed = Date.now() & 0x7fffffff
const worlds = createWorlds({ say: () => {} })
afterAll(() => worlds.stop())

// The vectors are compared in the unit tests of libs/access; here is what needs a platform.
const generated = { requests: REQUESTS, forged: FORGED, idleSeconds: IDLE_SECONDS, seed }
const checks = builtInChecks(generated).filter(({ id }) => !id.includes('.jsonl:'))

test.each(checks)(`$id: $title (seed ${seed})`, { timeout: 600_000 }, async ({ run }) => {
  await run(worlds)
})
