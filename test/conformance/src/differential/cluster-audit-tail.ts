import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'

/** An event of a cluster's own audit log, as far as it is compared. */
export type ClusterEvent = {
  readonly auditID: string
  readonly verb: string
  readonly requestURI: string
  /** Without a name where it was refused before anybody was known. */
  readonly user: { readonly username?: string }
  readonly objectRef?: {
    readonly resource?: string
    readonly subresource?: string
    readonly namespace?: string
    readonly name?: string
    readonly apiGroup?: string
  }
}

const CHUNK_BYTES = 1 << 20

/** Reads an audit log from where it ends now on, also across its rotation. */
export function tailClusterAudit(file: string) {
  let descriptor = openSync(file, 'r')
  let position = fstatSync(descriptor).size
  let unread = ''

  function* lines(): Generator<string> {
    const buffer = Buffer.alloc(CHUNK_BYTES)
    for (;;) {
      const bytes = readSync(descriptor, buffer, 0, CHUNK_BYTES, position)
      if (bytes === 0) {
        if (!isRotated()) return
        closeSync(descriptor)
        descriptor = openSync(file, 'r')
        position = 0
        continue
      }
      position += bytes
      const parts = (unread + buffer.toString('latin1', 0, bytes)).split('\n')
      unread = parts.pop() ?? ''
      // Bytes are read as they come, and a character may be cut: put together before it is decoded.
      for (const line of parts) yield Buffer.from(line, 'latin1').toString('utf8')
    }
  }

  function isRotated(): boolean {
    try {
      return statSync(file).ino !== fstatSync(descriptor).ino
    } catch {
      // Between the renaming of the old and the making of the new.
      return false
    }
  }

  return {
    /** What has come since the last call. */
    read(): ClusterEvent[] {
      return [...lines()]
        .filter((line) => line !== '')
        .map((line): ClusterEvent => JSON.parse(line))
    },
    close: () => closeSync(descriptor),
  }
}
