import type { EncodedEvent } from '@postern/eventing'

/**
 * A codec that refuses what it does not know instead of leaving it out: an event of a newer version may
 * take a right away. The reader then stands still, its lease ends and nothing is allowed. So readers are
 * upgraded before the services that write.
 */
export function knownEventsOnly<Given, Event>(codec: {
  readonly encode: (event: Given) => EncodedEvent
  readonly decode: (encoded: EncodedEvent) => Event | undefined
}) {
  return {
    encode: codec.encode,
    decode: (encoded: EncodedEvent): Event => {
      const event = codec.decode(encoded)
      if (event !== undefined) return event
      throw new Error(
        `the log holds ${encoded.type}, which this version does not know: upgrade this part first`,
      )
    },
  }
}
