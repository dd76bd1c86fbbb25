// Go's newer releases refuse a query with more pairs than this; older ones read them all. We refuse.
const PAIRS_MAX = 10_000

/** The first value of each key, by the rules of Go's url.ParseQuery; undefined for too many pairs. */
export type Query = ReadonlyMap<string, string>

/**
 * What kube-apiserver reads from a query: pairs with ";" or a bad escape vanish, keys are
 * case-sensitive, "+" is a space, the first value counts. URLSearchParams differs in the first point.
 */
export function parseGoQuery(raw: string): Query | undefined {
  const values = new Map<string, string>()
  if (raw === '') return values
  const pairs = raw.split('&', PAIRS_MAX + 1)
  if (pairs.length > PAIRS_MAX) return undefined
  for (const pair of pairs) {
    if (pair === '' || pair.includes(';')) continue
    const cut = pair.indexOf('=')
    const key = unescaped(cut === -1 ? pair : pair.slice(0, cut))
    const value = unescaped(cut === -1 ? '' : pair.slice(cut + 1))
    if (key === undefined || value === undefined) continue
    if (!values.has(key)) values.set(key, value)
  }
  return values
}

const BAD_ESCAPE = /%(?![0-9A-Fa-f]{2})/

function unescaped(text: string): string | undefined {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  if (BAD_ESCAPE.test(spaced)) return undefined
  try {
    return decodeURIComponent(spaced)
  } catch {
    // Go keeps bytes that are not UTF-8; here each becomes U+FFFD, which no object's name contains.
    const bytes = spaced.replaceAll(/%(..)/g, (_, hex: string) =>
      String.fromCharCode(Number.parseInt(hex, 16)),
    )
    return Buffer.from(bytes, 'latin1').toString('utf8')
  }
}
