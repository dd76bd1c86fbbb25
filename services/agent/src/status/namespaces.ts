import { setTimeout } from 'node:timers/promises'
import type { Log } from '@postern/telemetry'
import { z } from 'zod'
import { type KubeClient, KubeError } from '../adapters/kube-client.ts'

/** The cluster's namespaces with their labels, as they are now. */
export type Namespaces = {
  /** `undefined` until all of them are known. */
  readonly all: readonly { name: string; labels: Record<string, string> }[] | undefined
  /** Follows them until the signal. */
  follow(signal: AbortSignal): Promise<void>
}

const namespace = z.object({
  metadata: z.object({
    name: z.string(),
    resourceVersion: z.string().default(''),
    labels: z.record(z.string(), z.string()).default({}),
  }),
})
const list = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().default('') }),
  items: z.array(namespace),
})
const event = z.object({
  type: z.enum(['ADDED', 'MODIFIED', 'DELETED', 'BOOKMARK', 'ERROR']),
  object: z.unknown(),
})
const bookmark = z.object({ metadata: z.object({ resourceVersion: z.string() }) })

const PATH = '/api/v1/namespaces'
const PAGE = 500
const PAGES_MAX = 100
const WATCH_SECONDS = 300
const RETRY_MS = 2_000
const GONE = 410

export function createNamespaces(needs: {
  readonly kube: KubeClient
  readonly onChange: () => void
  readonly log: Log
}): Namespaces {
  const { kube, onChange, log } = needs
  const known = new Map<string, Record<string, string>>()
  let isListed = false
  let resourceVersion: string | undefined

  async function relist(): Promise<string> {
    const found = new Map<string, Record<string, string>>()
    let next = ''
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
      const more = next === '' ? '' : `&continue=${encodeURIComponent(next)}`
      const answer = list.parse(await kube.request('GET', `${PATH}?limit=${PAGE}${more}`))
      for (const { metadata } of answer.items) found.set(metadata.name, metadata.labels)
      next = answer.metadata.continue
      if (next !== '') continue
      known.clear()
      for (const [name, labels] of found) known.set(name, labels)
      isListed = true
      onChange()
      return answer.metadata.resourceVersion
    }
    throw new Error('the cluster has too many namespaces')
  }

  function apply(line: unknown): void {
    const { type, object } = event.parse(line)
    if (type === 'ERROR') throw new KubeError(GONE, 'the watch of namespaces has to begin anew')
    resourceVersion = bookmark.parse(object).metadata.resourceVersion
    if (type === 'BOOKMARK') return
    const { name, labels } = namespace.parse(object).metadata
    if (type === 'DELETED') known.delete(name)
    else known.set(name, labels)
    onChange()
  }

  return {
    get all() {
      return isListed ? [...known].map(([name, labels]) => ({ name, labels })) : undefined
    },
    async follow(signal) {
      while (!signal.aborted) {
        try {
          resourceVersion ??= await relist()
          const query = `watch=true&allowWatchBookmarks=true&timeoutSeconds=${WATCH_SECONDS}`
          const path = `${PATH}?${query}&resourceVersion=${encodeURIComponent(resourceVersion)}`
          await kube.watch(path, apply, signal)
        } catch (error) {
          if (signal.aborted) return
          // Whatever it was: from the beginning.
          resourceVersion = undefined
          const isUsual = error instanceof KubeError && error.status === GONE
          if (!isUsual) log.warn({ err: error }, 'watch of namespaces lost')
          await setTimeout(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined)
        }
      }
    },
  }
}
