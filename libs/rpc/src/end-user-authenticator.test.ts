import { expect, test } from 'vitest'
import type { EndUser } from './call.ts'
import { createCachedAuthenticator } from './end-user-authenticator.ts'

const token = Buffer.from('sha256 of a token')
const alice: EndUser = {
  userId: 'u1',
  userName: 'alice',
  groupIds: [],
  platformRole: 'none',
  tokenId: 't1',
}

function fixture(first: EndUser | undefined) {
  const state = { now: 0, asked: 0, answer: first, error: undefined as Error | undefined }
  const authenticate = createCachedAuthenticator(
    async () => {
      state.asked++
      if (state.error !== undefined) throw state.error
      return state.answer
    },
    () => state.now,
  )
  return { state, authenticate }
}

test('a revoked token is refused at most one second after identity was last asked', async () => {
  const { state, authenticate } = fixture(alice)
  expect(await authenticate(token)).toEqual(alice)
  state.answer = undefined
  state.now = 999
  expect(await authenticate(token)).toEqual(alice)
  state.now = 1000
  expect(await authenticate(token)).toBeUndefined()
  expect(state.asked).toBe(2)
})

test('a use does not lengthen what is remembered', async () => {
  const { state, authenticate } = fixture(alice)
  for (state.now = 0; state.now < 5000; state.now += 100) await authenticate(token)
  expect(state.asked).toBe(5)
})

test('a no is not remembered: a new token works at once', async () => {
  const { state, authenticate } = fixture(undefined)
  expect(await authenticate(token)).toBeUndefined()
  state.answer = alice
  expect(await authenticate(token)).toEqual(alice)
})

test('an identity that is down lets nobody in, and is asked again', async () => {
  const { state, authenticate } = fixture(alice)
  state.error = new Error('down')
  await expect(authenticate(token)).rejects.toThrow('down')
  state.error = undefined
  expect(await authenticate(token)).toEqual(alice)
})

test('calls at the same time ask once, and each token is its own', async () => {
  const { state, authenticate } = fixture(alice)
  await Promise.all([authenticate(token), authenticate(token), authenticate(Buffer.from('other'))])
  expect(state.asked).toBe(2)
})
