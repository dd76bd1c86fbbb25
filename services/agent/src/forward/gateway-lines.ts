import {
  decodeLines,
  findForbiddenHeader,
  HeadError,
  type HeaderLines,
  type PreparedLines,
  prepareLines,
  rememberTexts,
} from '@postern/kube-http'

/** Header lines of a gateway that may go to kube-apiserver, and how they are written there. */
export type GatewayLines = { readonly lines: HeaderLines; readonly prepared: PreparedLines }

/**
 * Reads the lines of a head as they are encoded. The gateway has checked them; a gateway that has not is
 * refused, not trusted. Most clients say the same with every request: byte for byte the same lines are
 * looked at once.
 *
 * @throws HeadError naming what is wrong with them
 */
export const gatewayLines = rememberTexts(lookAt, { textsMax: 128, charactersMax: 1024 })

function lookAt(encoded: string): GatewayLines {
  const lines = decodeLines(encoded)
  const forbidden = findForbiddenHeader(lines)
  if (forbidden !== undefined) throw new HeadError(`the header ${forbidden} is not allowed`)
  return { lines, prepared: prepareLines(lines) }
}
