import type { HeaderLines } from '@postern/kube-http'

/** The values of every line with that name; `name` is in lower case. */
export function headerValues(headers: HeaderLines, name: string): string[] {
  return headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value.trim())
}

/** The first of them, where one is as good as another. */
export function headerValue(headers: HeaderLines, name: string): string | undefined {
  return headerValues(headers, name)[0]
}
