export type FieldRequirement = {
  readonly field: string
  readonly operator: '=' | '!='
  readonly value: string
}

/** k8s.io/apimachinery/pkg/fields ParseSelector; undefined where it fails. Sorted, as there. */
export function parseFieldSelector(selector: string): readonly FieldRequirement[] | undefined {
  const requirements: FieldRequirement[] = []
  for (const term of splitTerms(selector).toSorted(byCodeUnits)) {
    if (term === '') continue
    const requirement = parseTerm(term)
    if (requirement === undefined) return undefined
    requirements.push(requirement)
  }
  return requirements
}

/** The value that a field must have, if the selector demands exactly one. */
export function requiredValue(
  requirements: readonly FieldRequirement[],
  field: string,
): string | undefined {
  return requirements.find((one) => one.operator === '=' && one.field === field)?.value
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

/** At commas that no backslash escapes. */
function splitTerms(selector: string): string[] {
  const terms: string[] = []
  let start = 0
  let escaped = false
  for (let i = 0; i < selector.length; i++) {
    const char = selector[i]
    if (escaped) escaped = false
    else if (char === '\\') escaped = true
    else if (char === ',') {
      terms.push(selector.slice(start, i))
      start = i + 1
    }
  }
  terms.push(selector.slice(start))
  return terms
}

function parseTerm(term: string): FieldRequirement | undefined {
  const at = term.search(/!=|=/)
  if (at === -1) return undefined
  const operator = term[at] === '!' ? '!=' : '='
  const length = operator === '!=' || term[at + 1] === '=' ? 2 : 1
  const value = unescapedValue(term.slice(at + length))
  if (value === undefined) return undefined
  return { field: term.slice(0, at), operator, value }
}

function unescapedValue(text: string): string | undefined {
  if (!/[\\,=]/.test(text)) return text
  let value = ''
  let escaped = false
  for (const char of text) {
    const special = char === '\\' || char === ',' || char === '='
    if (escaped) {
      if (!special) return undefined
      value += char
      escaped = false
    } else if (char === '\\') {
      escaped = true
    } else if (special) {
      return undefined
    } else {
      value += char
    }
  }
  return escaped ? undefined : value
}
