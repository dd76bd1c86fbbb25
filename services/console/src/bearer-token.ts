import { rejections } from '@postern/errors'
import type { FastifyRequest } from 'fastify'

const rejected = rejections({
  SIGN_IN_REQUIRED: [
    'unauthenticated',
    'sign in first ("postern login"): a bearer token is needed',
  ],
})

const BEARER = /^Bearer +([A-Za-z0-9_-]{1,200})$/i

/** The user's token. @throws Rejection when there is not exactly one */
export function bearerToken(request: FastifyRequest): string {
  const lines = request.raw.rawHeaders.filter(
    (name, index) => index % 2 === 0 && name.toLowerCase() === 'authorization',
  )
  const token = BEARER.exec(request.headers.authorization ?? '')?.[1]
  if (lines.length !== 1 || token === undefined) throw rejected('SIGN_IN_REQUIRED')
  return token
}
