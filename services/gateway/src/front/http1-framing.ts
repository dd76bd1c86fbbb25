import { contentLengthOf, type HeaderLines } from '@postern/kube-http'
import { headerValues } from './header-values.ts'

/** What node:http lets through and Go does not, or what two parsers read differently. */
export function http1FramingError(request: {
  httpVersion: string
  target: string
  headers: HeaderLines
}): string | undefined {
  const { httpVersion, target, headers } = request
  if (httpVersion !== '1.1') return 'only HTTP/1.1 and HTTP/2 are served'
  if (!target.startsWith('/')) return 'the request target must be a path'
  const hosts = headerValues(headers, 'host')
  if (hosts.length !== 1 || hosts[0] === '') return 'exactly one Host header is needed'
  const encodings = headerValues(headers, 'transfer-encoding')
  if (encodings.length > 1 || (encodings[0] ?? 'chunked').toLowerCase() !== 'chunked') {
    return 'the only transfer encoding is chunked'
  }
  const length = contentLengthOf(headers)
  if (length === undefined) return 'the content length is malformed'
  if (length !== 'none' && encodings.length === 1) return 'two framings of one body'
  return undefined
}
