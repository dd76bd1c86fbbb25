import { expect, test } from 'vitest'
import { createAttemptLimits } from './attempt-limits.ts'
import { createSignIn } from './sign-in.ts'

const users = new Map([
  ['dora', { user_id: 'u-dora', disabled: false, passwordHash: 'hash of dora' }],
  ['carol', { user_id: 'u-carol', disabled: true, passwordHash: 'hash of carol' }],
  ['ci', { user_id: 'u-ci', disabled: false, passwordHash: undefined }],
])

function world({ right }: { right: boolean }) {
  const compared: (string | undefined)[] = []
  const signIn = createSignIn({
    users: {
      findByName: async (name) => {
        const user = users.get(name)
        return user && { name, display_name: '', kind: 1, created_at: new Date(0), ...user }
      },
      passwordHash: async (id) =>
        [...users.values()].find(({ user_id: userId }) => userId === id)?.passwordHash,
    },
    hasher: {
      isRight: async (_password, passwordHash) => {
        compared.push(passwordHash)
        return right
      },
    },
    limits: createAttemptLimits(),
    signals: { signInRefused: () => {} },
    now: () => new Date(0),
  })
  return { signIn, compared }
}

test.each([
  { name: 'nobody', who: 'an unknown name', compared: [undefined] },
  { name: 'ci', who: 'someone who has no password', compared: [undefined] },
  { name: 'carol', who: 'a disabled user', compared: ['hash of carol'] },
  { name: 'dora', who: 'a wrong password', compared: ['hash of dora'] },
])('$who is refused after one comparison, like every other', async ({ name, compared }) => {
  const wrong = world({ right: false })
  await expect(wrong.signIn(name, 'x')).rejects.toMatchObject({ reason: 'SIGN_IN_REFUSED' })
  expect(wrong.compared).toEqual(compared)
})

test('a right password of a disabled user, or of nobody, is refused in the same words', async () => {
  for (const name of ['nobody', 'ci', 'carol']) {
    const { signIn } = world({ right: true })
    await expect(signIn(name, 'x')).rejects.toMatchObject({ reason: 'SIGN_IN_REFUSED' })
  }
  await expect(world({ right: true }).signIn('dora', 'x')).resolves.toMatchObject({
    userId: 'u-dora',
  })
})
