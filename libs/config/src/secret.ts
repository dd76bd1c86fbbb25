import { inspect } from 'node:util'
import { z } from 'zod'

const SECRET_LENGTH_MIN = 8
const DEFAULT_LOOKING =
  /^(change[-_ ]?me.*|default|example|password\d*|secret|postern|postgres|nats|root|admin\d*|test|todo|x+|\*+|<.*>|(.)\2*)$/i

/** A setting that must not be printed. Whoever needs it says so: `.reveal()`. */
export class Secret {
  readonly #value: string

  constructor(value: string) {
    this.#value = value
  }

  reveal(): string {
    return this.#value
  }

  toString(): string {
    return '[redacted]'
  }

  toJSON(): string {
    return '[redacted]'
  }

  [inspect.custom](): string {
    return '[redacted]'
  }
}

/** A setting that is a secret: at least eight characters, and not one that everybody would try. */
export function secret() {
  return z
    .string()
    .min(SECRET_LENGTH_MIN, `a secret needs at least ${SECRET_LENGTH_MIN} characters`)
    .refine(
      (text) => !DEFAULT_LOOKING.test(text),
      'looks like a default: generate one, for example with `openssl rand -base64 32`',
    )
    .transform((text) => new Secret(text))
}

/**
 * A URL that carries a password, such as a database's; several with commas between. No password may be
 * empty or a default.
 */
export function secretUrl(protocols: readonly string[]) {
  return z
    .string()
    .refine(
      (text) => urlsIn(text).every((url) => url !== null && protocols.includes(url.protocol)),
      `must be a URL that begins with ${protocols.map((name) => `${name}//`).join(' or ')}`,
    )
    .refine(
      (text) => urlsIn(text).every(hasUsablePassword),
      'its password is empty or looks like a default',
    )
    .transform((text) => new Secret(text))
}

function urlsIn(text: string): (URL | null)[] {
  return text.split(/,(?=[a-z]+:\/\/)/).map((part) => URL.parse(part))
}

/** A URL without a user name authenticates otherwise: a socket's owner, a certificate. */
function hasUsablePassword(url: URL | null): boolean {
  if (url === null || url.username === '') return true
  try {
    const password = decodeURIComponent(url.password)
    return password !== '' && !DEFAULT_LOOKING.test(password)
  } catch {
    return false
  }
}
