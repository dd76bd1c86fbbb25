import { expect, test, vi } from 'vitest'
import { createLiveStreams } from './live-streams.ts'

test('what runs under a session that has ended is cut behind the gateway, and nothing else is', () => {
  vi.useFakeTimers()
  try {
    const live = createLiveStreams()
    const cuts: string[] = []
    for (const sessionId of ['ended', 'other', 'ended']) {
      live.add({ sessionId, cut: () => void cuts.push(sessionId) })
    }
    live.cutSoon('ended')
    expect(cuts).toEqual([])
    vi.advanceTimersByTime(250)
    expect(cuts).toEqual(['ended', 'ended'])
  } finally {
    vi.useRealTimers()
  }
})
