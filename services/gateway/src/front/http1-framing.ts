import type { HeaderLines } from './front.ts'

/** What node:http lets through and Go does not, or what two parsers read differently. */
export function http1FramingError(request: {
  httpVersion: string
  target: string
  headers: HeaderLines
}): string | undefined {
  const { httpVersion, target, headers } = request
  if (httpVersion !== '1.1') return 'only HTTP/1.1 and HTTP/2 are served'
  if (!target.startsWith('/')) return 'the request target must be a path'
  const hosts = valuesOf(headers, 'host')
  if (hosts.length !== 1 || hosts[0] === '') return 'exactly one Host header is needed'
  const encodings = valuesOf(headers, 'transfer-encoding')
  if (encodings.length > 1 || (encodings[0] ?? 'chunked').toLowerCase() !== 'chunked') {
    return 'the only transfer encoding is chunked'
  }
  const lengths = valuesOf(headers, 'content-length')
  if (lengths.length > 1 || !/^\d{1,15}$/.test(lengths[0] ?? '0')) {
    return 'the content length is malformed'
  }
  if (lengths.length === 1 && encodings.length === 1) return 'two framings of one body'
  return undefined
}

/**
 * What an upgrade asks for. kube-apiserver upgrades whenever Connection merely contains "upgrade",
 * Node only for the token: whatever is not plainly one of the two is refused, never forwarded as a
 * plain request.
 */
export function parseUpgrade(
  headers: HeaderLines,
): { upgrade: 'websocket' | 'SPDY/3.1' | undefined } | { error: string } {
  const upgrades = valuesOf(headers, 'upgrade')
  const connection = valuesOf(headers, 'connection')
  const tokens = connection.flatMap((value) => value.toLowerCase().split(',')).map((t) => t.trim())
  const wanted = tokens.includes('upgrade')
  if (upgrades.length === 0 && !wanted) return { upgrade: undefined }
  if (upgrades.length !== 1 || !wanted) return { error: 'the upgrade is malformed' }
  if (valuesOf(headers, 'http2-settings').length > 0) return { error: 'h2c is not served' }
  const hasBody =
    valuesOf(headers, 'transfer-encoding').length > 0 ||
    (valuesOf(headers, 'content-length')[0] ?? '0') !== '0'
  if (hasBody) return { error: 'an upgrade has no body' }
  switch (upgrades[0]?.toLowerCase()) {
    case 'websocket':
      return { upgrade: 'websocket' }
    case 'spdy/3.1':
      return { upgrade: 'SPDY/3.1' }
    default:
      return { error: 'the only upgrades are websocket and SPDY/3.1' }
  }
}

export function toHeaderLines(rawHeaders: readonly string[]): HeaderLines {
  const lines: [string, string][] = []
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    lines.push([rawHeaders[at] ?? '', rawHeaders[at + 1] ?? ''])
  }
  return lines
}

function valuesOf(headers: HeaderLines, name: string): string[] {
  return headers.filter(([key]) => key.toLowerCase() === name).map(([, value]) => value.trim())
}
