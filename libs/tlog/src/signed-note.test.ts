import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { openCheckpoint, parseCheckpoint, signCheckpoint } from './checkpoint.ts'
import { EMPTY_ROOT, leafHash } from './hash.ts'
import { createNoteSigner, NoteError, openNote, parseVerifierKey } from './signed-note.ts'

// The example of golang.org/x/mod/sumdb/note, which C2SP signed-note describes.
const golangKey = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
const golangText =
  'If you think cryptography is the answer to your problem,\n' +
  "then you don't know what your problem is.\n"
const golangNote = `${golangText}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`

const key = createPrivateKey({
  key: Buffer.concat([
    Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.alloc(32, 7), // a fixed seed, so that the checkpoint below is always the same
  ]),
  format: 'der',
  type: 'pkcs8',
})
const signer = createNoteSigner('postern.test/audit', key)
const root = leafHash(Buffer.from('entry'))
const note = signCheckpoint({ size: 1, root }, signer)

test('a note that another implementation has signed verifies', () => {
  expect(openNote(golangNote, parseVerifierKey(golangKey))).toBe(golangText)
})

test('what is signed verifies with the verifier key and gives the checkpoint back', () => {
  expect(openCheckpoint(note, signer.verifierKey)).toEqual({
    origin: 'postern.test/audit',
    size: 1,
    root,
  })
  const empty = signCheckpoint({ size: 0, root: EMPTY_ROOT }, signer)
  expect(openCheckpoint(empty, signer.verifierKey).size).toBe(0)
})

test('a checkpoint in which any character is changed does not open', () => {
  const bytes = Buffer.from(note)
  for (let at = 0; at < bytes.length; at += 1) {
    const altered = Buffer.from(bytes)
    altered[at] = (altered[at] ?? 0) ^ 1
    expect(() => openCheckpoint(altered.toString(), signer.verifierKey), `byte ${at}`).toThrow(
      NoteError,
    )
  }
})

test('no text whatever opens but what was signed', () => {
  const verifier = parseVerifierKey(signer.verifierKey)
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(note.length), (junk, at) => {
      const text = note.slice(0, at) + junk + note.slice(at)
      fc.pre(text !== note)
      expect(() => openNote(text, verifier)).toThrow(NoteError)
    }),
  )
})

test('a signature of an unknown key beside the right one is passed over', () => {
  const witness = createNoteSigner('witness.test', generateKeyPairSync('ed25519').privateKey)
  const line = witness.sign(note.slice(0, note.indexOf('\n\n') + 1)).split('\n\n')[1]
  expect(openCheckpoint(note + line, signer.verifierKey).size).toBe(1)
  expect(() => openCheckpoint(note, witness.verifierKey)).toThrow('not signed by witness.test')
})

test('another key of the same name does not pass', () => {
  const other = createNoteSigner(signer.name, generateKeyPairSync('ed25519').privateKey)
  expect(() => openCheckpoint(note, other.verifierKey)).toThrow(NoteError)
})

test('a wrong signature beside a right one spoils the note', () => {
  const [text, line = ''] = note.split('\n\n')
  const forged = Buffer.from(line.split(' ')[2] ?? '', 'base64')
  forged[20] = (forged[20] ?? 0) ^ 1
  const spoiled = `${text}\n\n${line}— ${signer.name} ${forged.toString('base64')}\n`
  expect(() => openCheckpoint(spoiled, signer.verifierKey)).toThrow('the signature is wrong')
})

test('a key that signs for one log cannot vouch for another', () => {
  const foreign = signer.sign(`other.test/log\n1\n${Buffer.from(root).toString('base64')}\n`)
  expect(() => openCheckpoint(foreign, signer.verifierKey)).toThrow('other.test/log')
})

describe('a verifier key is refused', () => {
  const [name, id, encoded] = signer.verifierKey.split(/\+(?=[0-9a-f]{8}\+)|(?<=[0-9a-f]{8})\+/)
  test.each([
    { why: 'without parts', text: 'x' },
    { why: 'with an id of another key', text: `${name}+00000000+${encoded}` },
    { why: 'of another name', text: `other+${id}+${encoded}` },
    {
      why: 'of another algorithm',
      text: `${name}+${id}+${Buffer.alloc(33, 2).toString('base64')}`,
    },
    { why: 'that is cut', text: signer.verifierKey.slice(0, -4) },
    { why: 'with a space in the name', text: `a b+${id}+${encoded}` },
    { why: 'without a name', text: `+${id}+${encoded}` },
  ])('$why', ({ text }) => {
    expect(() => parseVerifierKey(text)).toThrow(NoteError)
  })
})

test.each(['', 'two words', 'plus+sign', 'new\nline'])(
  '"%s" cannot be the name of a log',
  (name) => {
    expect(() => createNoteSigner(name, key)).toThrow(NoteError)
  },
)

test('only an Ed25519 private key signs', () => {
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  expect(() => createNoteSigner('log', ec.privateKey)).toThrow(NoteError)
  expect(() => createNoteSigner('log', generateKeyPairSync('ed25519').publicKey)).toThrow(NoteError)
})

const rootText = Buffer.from(root).toString('base64')
test.each([
  { why: 'an empty origin', text: `\n1\n${rootText}\n` },
  { why: 'a size with a leading zero', text: `o\n01\n${rootText}\n` },
  { why: 'a negative size', text: `o\n-1\n${rootText}\n` },
  { why: 'a size above 2^53', text: `o\n9007199254740993\n${rootText}\n` },
  { why: 'a short root', text: `o\n1\n${rootText.slice(4)}\n` },
  { why: 'no final newline', text: `o\n1\n${rootText}` },
  { why: 'an empty extension line', text: `o\n1\n${rootText}\n\nx\n` },
])('a checkpoint with $why is refused', ({ text }) => {
  expect(() => parseCheckpoint(text)).toThrow(NoteError)
})

test('extension lines are allowed', () => {
  expect(parseCheckpoint(`o\n1\n${rootText}\nx\n`)).toMatchObject({ origin: 'o', size: 1 })
})
