import type { HeaderLines } from '@postern/kube-http'

/** The values of every line with that name; `name` is in lower case. */
export function valuesOf(headers: HeaderLines, name: string): string[] {
  return headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value.trim())
}

/** The first of them, where one is as good as another. */
export function valueOf(headers: HeaderLines, name: string): string | undefined {
  return valuesOf(headers, name)[0]
}
