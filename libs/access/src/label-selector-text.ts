type Token = { readonly kind: string; readonly text: string }

const SPECIAL = '=!(),><'
const BLANK = ' \t\r\n'
const KEY = /^(?:[A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const SUBDOMAIN = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/
const INTEGER = /^[+-]?\d+$/
const IDENTIFIER = 'identifier'
const END = 'end'

/**
 * Whether k8s.io/apimachinery/pkg/labels Parse accepts a label selector's text. It matters because
 * kube-apiserver forgets a request's field selector when its label selector is malformed.
 */
export function isLabelSelectorText(text: string): boolean {
  const tokens = scan(text)
  let position = 0
  const peek = (): Token => tokens[position] ?? { kind: END, text: '' }
  const next = (): Token => {
    const token = peek()
    position++
    return token
  }
  // "in" and "notin" are operators only between a key and its values.
  const isWord = (token: Token) => [IDENTIFIER, 'in', 'notin'].includes(token.kind)

  const isRequirement = (): boolean => {
    const negated = peek().kind === '!'
    if (negated) next()
    const key = next()
    if (!isWord(key) || !isLabelKey(key.text)) return false
    if (peek().kind === END || peek().kind === ',') return true
    if (negated) return false
    const operator = next().kind
    if (operator === 'in' || operator === 'notin') return isSet()
    if (!['=', '==', '!=', '>', '<'].includes(operator)) return false
    return isExactValue(operator === '>' || operator === '<')
  }

  const isExactValue = (integer: boolean): boolean => {
    if (peek().kind === END || peek().kind === ',') return !integer
    const value = next()
    return isWord(value) && (integer ? isInt64(value.text) : true) && isLabelValue(value.text)
  }

  const isSet = (): boolean => {
    if (next().kind !== '(') return false
    if (peek().kind === ')') return next().kind === ')'
    for (;;) {
      const token = next()
      if (isWord(token)) {
        if (!isLabelValue(token.text)) return false
        if (peek().kind === ')') return next().kind === ')'
        if (peek().kind !== ',') return false
      } else if (token.kind === ',') {
        if (peek().kind === ')') return next().kind === ')'
      } else {
        return false
      }
    }
  }

  for (;;) {
    if (peek().kind === END) return true
    if (!isWord(peek()) && peek().kind !== '!') return false
    if (!isRequirement()) return false
    const after = next().kind
    if (after === END) return true
    if (after !== ',' || !(isWord(peek()) || peek().kind === '!')) return false
  }
}

function scan(text: string): Token[] {
  const tokens: Token[] = []
  let i = 0
  for (;;) {
    while (i < text.length && BLANK.includes(text.charAt(i))) i++
    const first = text.charAt(i)
    // A zero byte ends Go's lexer like the end of the text.
    if (first === '' || first === '\0') return tokens
    if (SPECIAL.includes(first)) {
      const two = text.slice(i, i + 2)
      const kind = two === '==' || two === '!=' ? two : first
      tokens.push({ kind, text: kind })
      i += kind.length
      continue
    }
    const start = i
    while (i < text.length && !`${SPECIAL}${BLANK}\0`.includes(text.charAt(i))) i++
    const word = text.slice(start, i)
    tokens.push({ kind: word === 'in' || word === 'notin' ? word : IDENTIFIER, text: word })
    if (text.charAt(i) === '\0') i++
  }
}

function isLabelKey(key: string): boolean {
  const parts = key.split('/')
  const name = parts.at(-1) ?? ''
  if (parts.length > 2 || name.length > 63 || !KEY.test(name)) return false
  if (parts.length === 1) return true
  const prefix = parts[0] ?? ''
  return prefix.length <= 253 && SUBDOMAIN.test(prefix)
}

function isLabelValue(value: string): boolean {
  return value === '' || (value.length <= 63 && KEY.test(value))
}

export function isInt64(text: string): boolean {
  if (!INTEGER.test(text) || text.length > 100) return false
  const value = BigInt(text.startsWith('+') ? text.slice(1) : text)
  return value >= -(2n ** 63n) && value <= 2n ** 63n - 1n
}
