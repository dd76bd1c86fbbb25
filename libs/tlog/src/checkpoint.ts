import { HASH_BYTES } from './hash.ts'
import {
  NoteError,
  type NoteSigner,
  openNote,
  parseBase64,
  parseVerifierKey,
} from './signed-note.ts'
import type { TreeHead } from './verify-proof.ts'

/** The log at one size (C2SP tlog-checkpoint). */
export type Checkpoint = TreeHead & { readonly origin: string }

/** The signed note of a checkpoint. The signer's name is the log's origin. */
export function signCheckpoint({ size, root }: TreeHead, signer: NoteSigner): string {
  return signer.sign(`${signer.name}\n${size}\n${Buffer.from(root).toString('base64')}\n`)
}

/**
 * The checkpoint in a signed note, once its signature was found right.
 *
 * @throws NoteError
 */
export function openCheckpoint(note: string, verifierKey: string): Checkpoint {
  const verifier = parseVerifierKey(verifierKey)
  const checkpoint = parseCheckpoint(openNote(note, verifier))
  if (checkpoint.origin !== verifier.name) {
    throw new NoteError(`the checkpoint is of the log ${checkpoint.origin}, not ${verifier.name}`)
  }
  return checkpoint
}

/**
 * Reads a checkpoint's text, which is the note without its signatures. Proves nothing.
 *
 * @throws NoteError
 */
export function parseCheckpoint(text: string): Checkpoint {
  const [origin = '', sizeText = '', rootText = '', ...rest] = text.split('\n')
  const size = Number(sizeText)
  const root = parseBase64(rootText)
  if (origin === '') throw new NoteError('the checkpoint has no origin')
  if (!/^(0|[1-9]\d*)$/.test(sizeText) || !Number.isSafeInteger(size)) {
    throw new NoteError('the tree size of the checkpoint is malformed')
  }
  if (root === undefined || root.length !== HASH_BYTES) {
    throw new NoteError('the root hash of the checkpoint is malformed')
  }
  // Extension lines are allowed, empty lines are not; the text ends with a newline.
  if (rest.pop() !== '' || rest.includes('')) {
    throw new NoteError('the lines of the checkpoint are malformed')
  }
  return { origin, size, root }
}
