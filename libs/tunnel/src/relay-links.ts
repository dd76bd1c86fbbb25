import type { RelayLink } from './relay-link.ts'

/** One link for every relay that there is now. */
export type RelayLinks = {
  readonly all: readonly RelayLink[]
  /** Looks again which relays there are. */
  refresh(): void
  close(): void
}

const REFRESH_MS = 1000

export function createRelayLinks(options: {
  readonly relays: () => readonly string[]
  readonly link: (address: string) => RelayLink
}): RelayLinks {
  const links = new Map<string, RelayLink>()
  const refresh = () => {
    const wanted = new Set(options.relays())
    for (const [address, link] of links) {
      if (wanted.has(address)) continue
      link.close()
      links.delete(address)
    }
    for (const address of wanted) {
      if (!links.has(address)) links.set(address, options.link(address))
    }
  }
  const refreshing = setInterval(refresh, REFRESH_MS)
  refreshing.unref()
  refresh()
  return {
    get all() {
      return [...links.values()]
    },
    refresh,
    close() {
      clearInterval(refreshing)
      for (const link of links.values()) link.close()
      links.clear()
    },
  }
}
