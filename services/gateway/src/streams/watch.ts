import type { ResponseHead } from '@postern/kube-http'
import { headerValue } from '../front/header-values.ts'
import { createLengthFraming, createLineFraming, type Framing } from './framing.ts'

/** A watch that can be ended between two events, and how its client is told why. */
export type WatchEvents = {
  readonly framing: Framing
  /** The event with which kube-apiserver itself ends a watch; none where it cannot be written here. */
  farewell(status: string): Buffer | undefined
}

const JSON_EVENTS = 'application/json'
/** Each event behind its length: apimachinery, runtime/serializer/streaming and util/framer. */
const PROTOBUF_EVENTS = 'application/vnd.kubernetes.protobuf'
const LENGTH_BYTES = 4

/** How the events of a watch follow each other, where that can be told from its head. */
export function watchEvents({ status, headers }: ResponseHead): WatchEvents | undefined {
  const type = headerValue(headers, 'content-type')?.toLowerCase().split(';')[0]?.trim() ?? ''
  const encoding = headerValue(headers, 'content-encoding') ?? 'identity'
  if (status !== 200 || encoding !== 'identity') return undefined
  switch (type) {
    case JSON_EVENTS:
      return { framing: createLineFraming(), farewell: jsonFarewell }
    case PROTOBUF_EVENTS:
      return { framing: protobufFraming(), farewell: () => undefined }
    default:
      return undefined
  }
}

/** meta/v1 WatchEvent. */
function jsonFarewell(status: string): Buffer {
  return Buffer.from(`{"type":"ERROR","object":${status}}\n`)
}

function protobufFraming(): Framing {
  return createLengthFraming({
    headerBytes: () => LENGTH_BYTES,
    payloadBytes: (header) => header.readUInt32BE(0),
    onHeader: () => true,
  })
}
