import { expect, test } from 'vitest'
import {
  createSessionDirectory,
  type GatewaySession,
  SessionRefusedError,
} from './session-directory.ts'

const now = new Date('2026-05-01T12:00:00Z')
const session = (id: string): GatewaySession => ({
  id,
  userId: 'u1',
  clusterId: 'c1',
  account: `ptr-${id}`,
  expiresAtMs: now.getTime() + 3_600_000,
})

function directory(answers: GatewaySession[]) {
  const ended: string[] = []
  const asked: string[] = []
  const opened = createSessionDirectory({
    async open(userId, clusterId) {
      asked.push(`${userId}/${clusterId}`)
      await Promise.resolve()
      const next = answers.shift()
      if (next === undefined) throw new Error('asked too often')
      return next
    },
    now: () => now,
    onEnded: (id) => void ended.push(id),
  })
  return { ...opened, ended, asked }
}

test('many requests at once open one session, and later ones ask nobody', async () => {
  const sessions = directory([session('s1')])
  const many = await Promise.all(Array.from({ length: 20 }, () => sessions.sessionOf('u1', 'c1')))
  expect(new Set(many.map(({ id }) => id))).toEqual(new Set(['s1']))
  await sessions.sessionOf('u1', 'c1')
  expect(sessions.asked).toHaveLength(1)
})

test('an ended session is used no more, and its end is told once', async () => {
  const sessions = directory([session('s1'), session('s2')])
  await sessions.sessionOf('u1', 'c1')
  sessions.apply({ type: 'Ended', sessionId: 's1', reason: 'x' })
  sessions.apply({ type: 'Ended', sessionId: 's1', reason: 'x' })
  expect(sessions.ended).toEqual(['s1'])
  expect(sessions.isOver('s1', now)).toBe(true)
  expect((await sessions.sessionOf('u1', 'c1')).id).toBe('s2')
})

test('the end of an earlier session, heard late, leaves the one that is used now', async () => {
  const sessions = directory([session('s2')])
  sessions.apply({ type: 'Opened', session: session('s1') })
  await sessions.sessionOf('u1', 'c1')
  sessions.apply({ type: 'Ended', sessionId: 's1', reason: 'x' })
  await sessions.sessionOf('u1', 'c1')
  expect(sessions.asked).toHaveLength(1)
})

test('an answer that comes after the session has ended does not revive it', async () => {
  const sessions = directory([session('s1'), session('s1')])
  sessions.apply({ type: 'Opened', session: session('s1') })
  sessions.apply({ type: 'Ended', sessionId: 's1', reason: 'x' })
  await expect(sessions.sessionOf('u1', 'c1')).rejects.toBeInstanceOf(SessionRefusedError)
  expect(sessions.isOver('s1', now)).toBe(true)
})

test('a session of someone else is never taken', async () => {
  const sessions = directory([{ ...session('s1'), userId: 'u2' }])
  await expect(sessions.sessionOf('u1', 'c1')).rejects.toThrow(/someone else/)
})

test('after its rights changed a session is used again once the account has followed', async () => {
  const sessions = directory([session('s1'), session('s1')])
  await sessions.sessionOf('u1', 'c1')
  sessions.apply({ type: 'AccountDesired', sessionId: 's1', version: 2 })
  await sessions.sessionOf('u1', 'c1')
  expect(sessions.asked).toHaveLength(2)
  sessions.apply({ type: 'AccountProvisioned', sessionId: 's1', version: 2 })
  await sessions.sessionOf('u1', 'c1')
  expect(sessions.asked).toHaveLength(2)
})
