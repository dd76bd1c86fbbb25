import { createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto'

// C2SP signed-note, with Ed25519 signatures only.
const ED25519 = 0x01
const KEY_ID_BYTES = 4
const PUBLIC_KEY_BYTES = 32
const NOTE_BYTES_MAX = 64 * 1024
const SIGNATURES_MAX = 16
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')

/** What is wrong with a note, a key or a checkpoint, in words for whoever verifies it. */
export class NoteError extends Error {
  override readonly name = 'NoteError'
}

export type NoteSigner = {
  readonly name: string
  /** As verifiers are given it: `<name>+<key id>+<key>`. */
  readonly verifierKey: string
  sign(text: string): string
}

export type NoteVerifier = {
  readonly name: string
  readonly keyId: Buffer
  verify(text: string, signature: Uint8Array): boolean
}

/**
 * Signs notes under a name with an Ed25519 private key.
 *
 * @throws NoteError
 */
export function createNoteSigner(name: string, privateKey: KeyObject): NoteSigner {
  checkKeyName(name)
  if (privateKey.type !== 'private' || privateKey.asymmetricKeyType !== 'ed25519') {
    throw new NoteError('a log is signed with an Ed25519 private key')
  }
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const key = Buffer.concat([Buffer.of(ED25519), spki.subarray(-PUBLIC_KEY_BYTES)])
  const id = keyId(name, key)
  return {
    name,
    verifierKey: `${name}+${id.toString('hex')}+${key.toString('base64')}`,
    sign(text) {
      checkText(text)
      const signature = sign(null, Buffer.from(text), privateKey)
      return `${text}\n— ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`
    },
  }
}

/** @throws NoteError when the text is not a verifier key for Ed25519 */
export function parseVerifierKey(text: string): NoteVerifier {
  const [name = '', id = '', encoded = '', ...rest] = text.trim().split('+')
  // Base64 has a plus of its own.
  const key = parseBase64([encoded, ...rest].join('+'))
  checkKeyName(name)
  if (!/^[0-9a-f]{8}$/.test(id) || key === undefined) {
    throw new NoteError('a verifier key has the form <name>+<key id>+<base64 key>')
  }
  if (key.length !== 1 + PUBLIC_KEY_BYTES || key[0] !== ED25519) {
    throw new NoteError('the verifier key is not an Ed25519 key')
  }
  const expected = keyId(name, key)
  if (expected.toString('hex') !== id) {
    throw new NoteError('the verifier key is damaged: its key id does not fit its name and key')
  }
  const der = Buffer.concat([SPKI_PREFIX, key.subarray(1)])
  const publicKey = createPublicKey({ key: der, format: 'der', type: 'spki' })
  return {
    name,
    keyId: expected,
    verify: (signed, signature) => verify(null, Buffer.from(signed), publicKey, signature),
  }
}

/**
 * Answers the text of a note that this key has signed.
 *
 * @throws NoteError when the form or the signature is wrong
 */
export function openNote(note: string, verifier: NoteVerifier): string {
  if (Buffer.byteLength(note) > NOTE_BYTES_MAX) throw new NoteError('the note is too long')
  const cut = note.lastIndexOf('\n\n')
  if (cut < 0 || !note.endsWith('\n')) throw new NoteError('the note has no signatures')
  const text = note.slice(0, cut + 1)
  checkText(text)
  const lines = note.slice(cut + 2, -1).split('\n')
  if (lines.length > SIGNATURES_MAX) throw new NoteError('the note has too many signatures')
  let verified = false
  for (const line of lines) {
    const { name, id, signature } = parseSignatureLine(line)
    if (name !== verifier.name || !id.equals(verifier.keyId)) continue
    if (!verifier.verify(text, signature)) throw new NoteError('the signature is wrong')
    verified = true
  }
  if (!verified) throw new NoteError(`the note is not signed by ${verifier.name}`)
  return text
}

function parseSignatureLine(line: string) {
  const [dash, name = '', encoded = '', ...rest] = line.split(' ')
  const bytes = parseBase64(encoded)
  if (dash !== '—' || rest.length > 0 || !isKeyName(name)) {
    throw new NoteError('a signature line is malformed')
  }
  if (bytes === undefined || bytes.length <= KEY_ID_BYTES) {
    throw new NoteError('a signature is malformed')
  }
  return { name, id: bytes.subarray(0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) }
}

function keyId(name: string, key: Uint8Array): Buffer {
  const named = Buffer.concat([Buffer.from(`${name}\n`), key])
  return hash('sha256', named, 'buffer').subarray(0, KEY_ID_BYTES)
}

function checkText(text: string): void {
  if (!text.endsWith('\n') || hasForbiddenCharacters(text)) {
    throw new NoteError('a note is text of whole lines without control characters')
  }
}

/** Control characters but the newline, and halves of surrogate pairs, which UTF-8 cannot hold. */
function hasForbiddenCharacters(text: string): boolean {
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code < 0x20 && code !== 0x0a) return true
  }
  return /\p{Surrogate}/u.test(text)
}

function isKeyName(name: string): boolean {
  return name !== '' && !/[\s+]/u.test(name) && !hasForbiddenCharacters(name)
}

function checkKeyName(name: string): void {
  if (!isKeyName(name)) throw new NoteError('a key name is text without spaces and plus signs')
}

/** Strict: `undefined` unless it is the one canonical form of the bytes. */
export function parseBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  return text !== '' && bytes.toString('base64') === text ? bytes : undefined
}
