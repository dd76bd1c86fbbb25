import { createLog } from '@postern/telemetry'
import { expect, test } from 'vitest'
import { type Activity, createSessionActivity } from './session-activity.ts'

const at = (seconds: number) => new Date(seconds * 1000)

/** What was reported, and what happens while it is. */
function connect({ meanwhile = () => {} } = {}) {
  const reports: (readonly Activity[])[] = []
  const state = { now: at(0), meanwhile }
  const activity = createSessionActivity({
    report: async (activities) => {
      reports.push(activities)
      state.meanwhile()
    },
    now: () => state.now,
    log: createLog({ name: 'gateway', stream: { write: () => {} } }),
  })
  return { activity, state, reports }
}

const one = (seconds: number, openStreams = 0): Activity => ({
  sessionId: 'one',
  lastActiveAt: at(seconds),
  openStreams,
})

test('what was asked for is reported once, with the last time', async () => {
  const { activity, reports } = connect()
  activity.touch('one', at(1))
  activity.touch('one', at(2))
  await activity.report()
  await activity.report()
  expect(reports).toEqual([[one(2)]])
})

test('a stream is activity for as long as it is open, and its end is reported', async () => {
  const { activity, state, reports } = connect()
  const closed = activity.streamOpened('one', at(1))
  for (const seconds of [15, 30]) {
    state.now = at(seconds)
    await activity.report()
  }
  state.now = at(40)
  closed()
  await activity.report()
  await activity.report()
  expect(reports).toEqual([[one(15, 1)], [one(30, 1)], [one(40)]])
})

test('what is asked for while a report is on its way is reported the next time', async () => {
  const { activity, state, reports } = connect()
  activity.touch('one', at(1))
  state.meanwhile = () => activity.touch('one', at(2))
  await activity.report()
  state.meanwhile = () => {}
  await activity.report()
  await activity.report()
  expect(reports).toEqual([[one(1)], [one(2)]])
})

test('what could not be reported is reported the next time', async () => {
  const { activity, state, reports } = connect()
  activity.touch('one', at(1))
  state.meanwhile = () => {
    throw new Error('not now')
  }
  await activity.report()
  state.meanwhile = () => {}
  await activity.report()
  await activity.report()
  expect(reports).toEqual([[one(1)], [one(1)]])
})
