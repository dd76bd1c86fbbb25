import type { ResponseHead } from '@postern/kube-http'
import { headerValue } from '../front/header-values.ts'
import { createLineFraming, type Framing } from './framing.ts'

/** How to end a watch with a reason: only where events are plain JSON, one a line. */
export function watchFraming(response: ResponseHead): Framing | undefined {
  const { headers } = response
  const type = headerValue(headers, 'content-type')?.toLowerCase().split(';')[0]?.trim()
  const encoding = headerValue(headers, 'content-encoding') ?? 'identity'
  if (response.status !== 200 || type !== 'application/json' || encoding !== 'identity') {
    return undefined
  }
  return createLineFraming()
}

/** The event with which kube-apiserver itself ends a watch (meta/v1 WatchEvent). */
export function watchFarewell(status: string): Buffer {
  return Buffer.from(`{"type":"ERROR","object":${status}}\n`)
}
