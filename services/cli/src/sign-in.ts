import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { environment } from './config.ts'
import { CliError, EXIT } from './exit-code.ts'

/** Where Postern is and who one is there. The file is readable by its owner alone. */
export type SignIn = {
  readonly url: string
  /** PEM, where the server's certificate is not from a public authority. */
  readonly ca: string | undefined
  readonly token: string | undefined
}

/** From the environment, else from the file of `postern login`. @throws CliError */
export function readSignIn(): SignIn {
  const { url, token, caFile } = environment
  if (url !== undefined) {
    return { url, token, ca: caFile === undefined ? undefined : readFileSync(caFile, 'utf8') }
  }
  try {
    const kept: unknown = JSON.parse(readFileSync(environment.configFile, 'utf8'))
    return parseSignIn(kept)
  } catch {
    throw new CliError(EXIT.signedOut, 'not signed in: run "postern login --url https://…" first')
  }
}

export function writeSignIn(signIn: SignIn): void {
  mkdirSync(dirname(environment.configFile), { recursive: true, mode: 0o700 })
  const text = `${JSON.stringify(signIn, undefined, 2)}\n`
  // An existing file keeps its mode, so it is made anew.
  rmSync(environment.configFile, { force: true })
  writeFileSync(environment.configFile, text, { mode: 0o600 })
}

/** Forgets the token, and keeps the address for the next sign-in. */
export function forgetToken(signIn: SignIn): void {
  writeSignIn({ ...signIn, token: undefined })
}

function parseSignIn(value: unknown): SignIn {
  if (typeof value !== 'object' || value === null || !('url' in value)) throw new Error('no url')
  const { url } = value
  if (typeof url !== 'string') throw new Error('no url')
  return { url, ca: textIn(value, 'ca'), token: textIn(value, 'token') }
}

function textIn(value: object, name: string): string | undefined {
  const found = new Map(Object.entries(value)).get(name)
  return typeof found === 'string' ? found : undefined
}
