import fc from 'fast-check'
import { expect, test } from 'vitest'
import { shareReads } from './share-reads.ts'

test('nobody gets a read that began before he asked, and at most one runs', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fc.boolean(), { maxLength: 12 }),
      async (s, fails) => {
        let begun = 0
        let running = 0
        let runningMax = 0
        const read = shareReads(async () => {
          begun += 1
          const mine = begun
          running += 1
          runningMax = Math.max(runningMax, running)
          await s.schedule(Promise.resolve(), 'read')
          running -= 1
          if (fails[mine % 12] === true) throw new Error('away')
          return mine
        })
        const early: string[] = []
        const asking = fails.map(async (_, index) => {
          await s.schedule(Promise.resolve(), `ask ${index}`)
          const before = begun
          const got = await read().catch(() => undefined)
          if (got !== undefined && got <= before)
            early.push(`${got} for one who asked after ${before}`)
        })
        await s.waitFor(Promise.all(asking))
        expect(early).toEqual([])
        expect(runningMax).toBeLessThanOrEqual(1)
        expect(begun).toBeLessThanOrEqual(fails.length)
      },
    ),
  )
})
