import { STATUS_CODES } from 'node:http'
import type { HeadRefusal } from '@postern/kube-http'

/** The last answer of a connection of which nothing can be believed any more. One character a byte. */
export function writeRefusal({ status, problem }: HeadRefusal): string {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? 'Bad Request'}`,
    'Content-Type: text/plain; charset=utf-8',
    'X-Content-Type-Options: nosniff',
    `Content-Length: ${problem.length}`,
    'Connection: close',
  ]
  return `${lines.join('\r\n')}\r\n\r\n${problem}`
}
