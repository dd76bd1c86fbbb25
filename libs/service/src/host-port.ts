import { parseHostPort } from '@postern/lifecycle'
import { z } from 'zod'

/** A setting that is an address. */
export const hostPort = () =>
  z.string().refine(isHostPort, 'must be "host:port", for example 127.0.0.1:7001')

/** A setting that is several addresses, with commas between. */
export const hostPorts = (most: number) =>
  z
    .string()
    .transform((text) => text.split(',').map((address) => address.trim()))
    .pipe(z.array(hostPort()).min(1).max(most))

function isHostPort(text: string): boolean {
  try {
    return parseHostPort(text).host !== ''
  } catch {
    return false
  }
}
