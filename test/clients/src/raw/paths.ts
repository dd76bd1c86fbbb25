import type { ClientWay } from '../ways.ts'

type Query = Readonly<Record<string, string | readonly string[]>>

/** "/api/v1/namespaces/…/pods/talk/exec?stdout=true&command=…" */
export function podPath(way: ClientWay, pod: string, subresource: string, query: Query): string {
  const pairs = Object.entries(query).flatMap(([name, value]) =>
    [value].flat().map((one) => `${name}=${encodeURIComponent(one)}`),
  )
  return `/api/v1/namespaces/${way.namespace}/pods/${pod}/${subresource}?${pairs.join('&')}`
}

/** An exec in the pod "talk" of a shell's command line. */
export function execPath(way: ClientWay, script: string, query: Query): string {
  return podPath(way, 'talk', 'exec', { container: 'c', ...query, command: ['sh', '-c', script] })
}
