import { readFileSync } from 'node:fs'
import { environment } from './config.ts'
import { CliError, EXIT } from './exit-code.ts'
import { writePrivateFile } from './private-file.ts'

/** Where Postern is and who one is there. */
export type SignIn = {
  readonly url: string
  /** PEM, where the server's certificate is not from a public authority. */
  readonly ca: string | undefined
  readonly token: string | undefined
}

/**
 * From the environment, else from the file of `postern login`. A token of the file never goes to an
 * address of the environment.
 *
 * @throws CliError
 */
export function readSignIn(): SignIn {
  const { url, token, caFile } = environment
  if (url !== undefined) {
    return { url: checkAddress(url), token, ca: caFile === undefined ? undefined : readCa(caFile) }
  }
  const kept = readKept()
  return token === undefined ? kept : { ...kept, token }
}

/** Keeps it for the next commands, in a file that its owner alone may read. */
export function writeSignIn(signIn: SignIn): void {
  writePrivateFile(environment.configFile, `${JSON.stringify(signIn, undefined, 2)}\n`)
}

/** Forgets the kept token, and keeps the address for the next sign-in. */
export function forgetToken(): void {
  const { url, token } = environment
  // What the environment says is not kept, so that there is nothing to forget.
  if (url !== undefined || token !== undefined) return
  writeSignIn({ ...readKept(), token: undefined })
}

/** @throws CliError unless it is where a token may be sent to */
export function checkAddress(text: string): string {
  const url = URL.parse(text)
  if (url?.protocol !== 'https:' || url.username !== '' || url.password !== '') {
    throw new CliError(EXIT.usage, 'the address of Postern has the form https://host:port')
  }
  return url.origin
}

/** @throws CliError */
export function readCa(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : ''
    throw new CliError(EXIT.usage, `the roots of the server's certificate: ${why}`)
  }
}

function readKept(): SignIn {
  let text: string
  try {
    text = readFileSync(environment.configFile, 'utf8')
  } catch {
    throw new CliError(EXIT.signedOut, 'not signed in: run "postern login --url https://…" first')
  }
  const kept = parseSignIn(text)
  if (kept === undefined) {
    throw new CliError(
      EXIT.signedOut,
      `${environment.configFile} is not what "postern login" writes: sign in again with --url`,
    )
  }
  return { ...kept, url: checkAddress(kept.url) }
}

function parseSignIn(text: string): SignIn | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    const fields = new Map(Object.entries(value))
    const textIn = (name: string): string | undefined => {
      const found: unknown = fields.get(name)
      return typeof found === 'string' ? found : undefined
    }
    const url = textIn('url')
    return url === undefined ? undefined : { url, ca: textIn('ca'), token: textIn('token') }
  } catch {
    return undefined
  }
}
