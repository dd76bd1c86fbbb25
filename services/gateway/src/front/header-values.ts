import type { HeaderLines } from '@postern/kube-http'

/** The values of every line with that name; `name` is in lower case. */
export function headerValues(headers: HeaderLines, name: string): string[] {
  const values: string[] = []
  for (const [key, value] of headers) if (isNamed(key, name)) values.push(value.trim())
  return values
}

/** The first of them, where one is as good as another. */
export function headerValue(headers: HeaderLines, name: string): string | undefined {
  for (const [key, value] of headers) if (isNamed(key, name)) return value.trim()
  return undefined
}

/** Most names differ in their length already. */
function isNamed(key: string, name: string): boolean {
  return key.length === name.length && (key === name || key.toLowerCase() === name)
}
