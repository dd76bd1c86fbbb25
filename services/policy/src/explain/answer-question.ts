import { rejections } from '@postern/errors'
import type { Call } from '@postern/rpc'
import type { KnownParties } from '../adapters/known-parties.ts'
import { explain, parseQuestion, type Question } from './explain.ts'

const rejected = rejections({
  ONLY_YOUR_OWN: [
    'permission_denied',
    'without the permission of an administrator or auditor you may ask only about yourself',
  ],
})

type Needs = {
  parties: KnownParties
  /** The last position of policy's own log: what was changed before the question counts. */
  head: () => Promise<bigint>
  now: () => Date
}

/** Users and clusters by id or name; no user means whoever asks. */
export type AskedQuestion = Question & { user: string; cluster: string }

export type AnswerQuestion = (
  question: AskedQuestion,
  call: Pick<Call, 'user' | 'can'>,
) => Promise<ReturnType<typeof explain>>

/** Resolves the names in a question, waits until policy's newest changes are there, and explains. */
export function createAnswerQuestion({ parties, head, now }: Needs): AnswerQuestion {
  return async (question, call) => {
    const asked = now()
    parseQuestion(question, asked)
    const userId = await resolveAsker(parties, question.user, call)
    const clusterId = await parties.resolve('cluster', question.cluster)
    await parties.hasApplied(await head())
    return explain(parties.snapshot(), { userId, clusterId }, question, asked)
  }
}

/** Whoever may not ask about others does not learn whether they exist. */
async function resolveAsker(
  parties: KnownParties,
  reference: string,
  { user, can }: Pick<Call, 'user' | 'can'>,
): Promise<string> {
  if (user === undefined) throw new Error('the call came without its end user')
  const own = [user.userId, user.userName.toLowerCase()]
  const isOwn = reference === '' || own.includes(reference.toLowerCase())
  if (isOwn) return await parties.resolve('user', user.userId)
  if (!can('policy.grants.explain')) throw rejected('ONLY_YOUR_OWN')
  return await parties.resolve('user', reference)
}
