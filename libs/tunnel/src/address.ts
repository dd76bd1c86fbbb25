/** `host:port`, `[::1]:port`. @throws Error */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || port < 1 || port > 65_535) {
    throw new Error(`${JSON.stringify(address)} is not an address: write host:port`)
  }
  return { host, port }
}
