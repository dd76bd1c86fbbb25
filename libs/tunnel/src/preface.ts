import { isPairNumber } from './server-name.ts'

/** How a gateway's data connection begins: `POSTERN-PAIR/1 <number>\n`. */
const PREFACE_BYTES = 48
export const PREFACE_FIRST_BYTE = 0x50
const START = 'POSTERN-PAIR/1 '

export const encodePreface = (number: string): Buffer => Buffer.from(`${START}${number}\n`)

/** Reads it from what has arrived; `bytes` may hold what follows it. */
export function parsePreface(
  bytes: Buffer,
):
  | { readonly status: 'more' | 'bad' }
  | { readonly status: 'preface'; readonly number: string; readonly length: number } {
  const text = bytes.toString('latin1', 0, PREFACE_BYTES)
  const start = text.slice(0, START.length)
  if (!START.startsWith(start)) return { status: 'bad' }
  if (text.length < PREFACE_BYTES) return { status: 'more' }
  const number = text.slice(START.length, -1)
  return text.endsWith('\n') && isPairNumber(number)
    ? { status: 'preface', number, length: PREFACE_BYTES }
    : { status: 'bad' }
}
