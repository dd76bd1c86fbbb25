import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { decodeEntryBundle, ENTRY_BYTES_MAX, encodeEntryBundle } from '@postern/tlog'

/** The smallest for records of gateways, and the cheapest: a tenth of a millisecond for 64 of them. */
const params = { [constants.ZSTD_c_compressionLevel]: 1 }

/**
 * A quarter of what C2SP tlog-tiles has in one: whoever wants one entry unpacks that many. They take
 * hardly more bytes for it.
 */
export const BUNDLE_ENTRIES = 64

/** What records of gateways have at most, nearly always: a bundle of them is unpacked in one go. */
const ENTRY_BYTES = 1280

/** Entries that follow each other, cut where a bundle ends: no bundle is across two of their runs of 64. */
export function cutIntoBundles<Entry extends { readonly idx: number }>(
  entries: readonly Entry[],
): readonly (readonly Entry[])[] {
  const bundles: (readonly Entry[])[] = []
  for (let at = 0; at < entries.length; ) {
    const end = at + BUNDLE_ENTRIES - ((entries[at]?.idx ?? 0) % BUNDLE_ENTRIES)
    bundles.push(entries.slice(at, end))
    at = end
  }
  return bundles
}

/** An entry bundle of C2SP tlog-tiles, compressed (RFC 8878). */
export function packBundle(bodies: readonly Uint8Array[]): Buffer {
  return zstdCompressSync(encodeEntryBundle(bodies), { params })
}

/**
 * The entries of a bundle, each a part of the same bytes.
 *
 * @throws RangeError when this is no bundle of so many entries
 */
export function unpackBundle(bundle: Uint8Array, entries: number): readonly Buffer[] {
  const bodies = decodeEntryBundle(decompressed(bundle, entries))
  if (bodies.length !== entries) {
    throw new RangeError(`the bundle has ${bodies.length} entries instead of ${entries}`)
  }
  return bodies
}

function decompressed(bundle: Uint8Array, entries: number): Buffer {
  try {
    return zstdDecompressSync(bundle, {
      chunkSize: entries * ENTRY_BYTES,
      maxOutputLength: entries * (2 + ENTRY_BYTES_MAX),
    })
  } catch (cause) {
    throw new RangeError('the bundle cannot be decompressed', { cause })
  }
}
