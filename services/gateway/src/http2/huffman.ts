/** How many bits the code of each byte has, and of EOS after them (RFC 7541, Appendix B). */
const CODE_BITS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28,
  28, 28, 28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5,
  6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
  7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6,
  7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23,
  23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22,
  22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22,
  23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27,
  27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25,
  24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30,
]
const EOS = 256

/**
 * The code as a machine that takes four bits at a time. A state is how far into a code the bits are; of
 * `STATES * 16` steps each is the state it leads to, the byte it completes, and whether it does.
 */
const STATES = 257
const BROKEN = 256
const STATE = 0x1ff
const BYTE_SHIFT = 16
const COMPLETES_SHIFT = 24
/** The states of up to 7 bits that are all ones are numbered first: only those may be the end (5.2). */
const ENDS = 8
const STEPS = createSteps()

let scratch = Buffer.allocUnsafeSlow(4096)

/** One character a byte; undefined where the code is broken or does not end as it must (RFC 7541, 5.2). */
export function decodeHuffman(bytes: Buffer, start: number, end: number): string | undefined {
  // The shortest code has 5 bits. One more, as each step writes a byte and only some keep it.
  const room = Math.floor(((end - start) * 8) / 5) + 1
  if (scratch.length < room) scratch = Buffer.allocUnsafeSlow(room)
  const decoded = scratch
  let length = 0
  let state = 0
  for (let at = start; at < end; at += 1) {
    const byte = bytes[at] ?? 0
    const high = STEPS[(state << 4) | (byte >> 4)] ?? 0
    decoded[length] = high >> BYTE_SHIFT
    length += high >> COMPLETES_SHIFT
    const low = STEPS[((high & STATE) << 4) | (byte & 15)] ?? 0
    decoded[length] = low >> BYTE_SHIFT
    length += low >> COMPLETES_SHIFT
    state = low & STATE
  }
  return state < ENDS ? decoded.toString('latin1', 0, length) : undefined
}

function createSteps(): Int32Array {
  const next = createTree()
  const steps = new Int32Array(STATES * 16)
  for (let state = 0; state < STATES; state += 1) {
    for (let bits = 0; bits < 16; bits += 1) {
      let reached = state
      let completed = 0
      for (let mask = 8; mask > 0 && reached !== BROKEN; mask >>= 1) {
        reached = next[reached * 2 + ((bits & mask) === 0 ? 0 : 1)] ?? BROKEN
        if (reached === ~EOS) reached = BROKEN
        if (reached < 0) {
          completed = (1 << COMPLETES_SHIFT) | (~reached << BYTE_SHIFT)
          reached = 0
        }
      }
      steps[state * 16 + bits] = completed | reached
    }
  }
  return steps
}

/**
 * What a 0 and what a 1 leads to from each state: a state, or `~symbol`. The code is canonical: in the
 * order of their lengths, then of their symbols, codes count up.
 */
function createTree(): Int16Array {
  const next = new Int16Array(BROKEN * 2)
  for (let ones = 0; ones < ENDS - 1; ones += 1) next[ones * 2 + 1] = ones + 1
  let states = ENDS
  let code = 0
  let bits = 0
  for (const symbol of [...CODE_BITS.keys()].sort((a, b) => codeBits(a) - codeBits(b))) {
    code <<= codeBits(symbol) - bits
    bits = codeBits(symbol)
    let state = 0
    for (let shift = bits - 1; shift > 0; shift -= 1) {
      const way = state * 2 + ((code >> shift) & 1)
      if (next[way] === 0) {
        next[way] = states
        states += 1
      }
      state = next[way] ?? BROKEN
    }
    next[state * 2 + (code & 1)] = ~symbol
    code += 1
  }
  return next
}

function codeBits(symbol: number): number {
  return CODE_BITS[symbol] ?? 0
}
