import { readFileSync } from 'node:fs'

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6']
/** "0: 0100007F:1F90 0100007F:C001 01 00000000:00000000": both ends, state, what waits to be sent and to be read. */
const ROW =
  /^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]+:([0-9A-F]{4}) [0-9A-F]{2} ([0-9A-F]{8}):([0-9A-F]{8}) /gm

/** What Linux holds of the connections to and from these ports: no process has it in its memory (proc(5)). */
export function bytesInKernel(ports: readonly number[]): number {
  let bytes = 0
  for (const table of TABLES) {
    for (const [, ...fields] of readFileSync(table, 'utf8').matchAll(ROW)) {
      const [local = 0, remote = 0, unsent = 0, unread = 0] = fields.map((hex) =>
        Number.parseInt(hex, 16),
      )
      if (ports.includes(local) || ports.includes(remote)) bytes += unsent + unread
    }
  }
  return bytes
}
