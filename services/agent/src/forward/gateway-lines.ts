import {
  decodeLines,
  findForbiddenHeader,
  HeadError,
  type HeaderLines,
  type PreparedLines,
  prepareLines,
} from '@postern/kube-http'

/** Header lines of a gateway that may go to kube-apiserver, and how they are written there. */
export type GatewayLines = { readonly lines: HeaderLines; readonly prepared: PreparedLines }

const KNOWN_MAX = 128
const KNOWN_CHARACTERS_MAX = 1024
/** Most clients say the same with every request: byte for byte the same lines are looked at once. */
const known = new Map<string, GatewayLines>()

/**
 * Reads the lines of a head as they are encoded. The gateway has checked them; a gateway that has not is
 * refused, not trusted.
 *
 * @throws HeadError naming what is wrong with them
 */
export function gatewayLines(encoded: string): GatewayLines {
  const found = known.get(encoded)
  if (found !== undefined) return found
  if (encoded.length > KNOWN_CHARACTERS_MAX) return lookAt(encoded)
  // A copy: a part of a text would hold on to the whole of it.
  const copy = Buffer.from(encoded, 'latin1').toString('latin1')
  const made = lookAt(copy)
  if (known.size >= KNOWN_MAX) known.clear()
  known.set(copy, made)
  return made
}

function lookAt(encoded: string): GatewayLines {
  const lines = decodeLines(encoded)
  const forbidden = findForbiddenHeader(lines)
  if (forbidden !== undefined) throw new HeadError(`the header ${forbidden} is not allowed`)
  return { lines, prepared: prepareLines(lines) }
}
