import { type Id, isId, parseId } from '@postern/ids'
import type { Call, EndUser } from '@postern/rpc'
import { ownRejected } from '../naming/own-rules.ts'
import { userRejected } from './user.ts'
import type { UserRepository } from './user-repository.ts'

/** The end user of a call whose access asks for one. */
export function endUserOf(call: Call): EndUser {
  if (call.user === undefined) throw new Error('the call came without its end user')
  return call.user
}

/** An id is taken as it is: what was deleted can be named only so. @throws Rejection USER_NOT_FOUND */
export async function resolveUser(users: UserRepository, reference: string): Promise<Id<'user'>> {
  if (isId(reference)) return parseId('user', reference)
  const found = await users.find(reference)
  if (found === undefined) throw userRejected('USER_NOT_FOUND')
  return parseId('user', found.user_id)
}

/**
 * Whom a call is about: whoever it names, if the caller holds the permission; otherwise only the
 * caller, who does not learn whether somebody else exists. Nobody named means the caller.
 *
 * @throws Rejection ONLY_YOUR_OWN, USER_NOT_FOUND
 */
export async function resolveOwnOrPermitted(
  users: UserRepository,
  call: Call,
  reference: string,
  permission: string,
): Promise<Id<'user'>> {
  const { userId, userName } = endUserOf(call)
  const isOwn =
    reference === '' || reference === userId || reference.toLowerCase() === userName.toLowerCase()
  if (isOwn) return parseId('user', userId)
  if (!call.can(permission)) throw ownRejected('ONLY_YOUR_OWN')
  return await resolveUser(users, reference)
}
