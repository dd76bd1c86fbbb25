import type { Load } from '../load.ts'
import type { StackName } from '../stacks/stack.ts'

/** One kind of load, the same for every stack. */
export type LoadLine = {
  readonly id: string
  readonly title: string
  readonly load: Load
  readonly stacks: readonly StackName[]
}

const LIST = '/api/v1/namespaces/bench/configmaps'
const PEERS: readonly StackName[] = ['go-tunnel-2', 'go-tunnel-tuned', 'go-tunnel-gathered']

export const loadLines: readonly LoadLine[] = [
  {
    id: 'get',
    title: 'small GET (2 KiB), HTTP/1.1, 32 connections',
    load: { mode: 'get', conns: 32, seconds: 5, warmup: 2 },
    stacks: [
      'direct',
      'postern',
      ...PEERS,
      'go-tunnel-h2',
      'go-tunnel-3',
      'go-proxy-2',
      'nginx-3',
      'kubectl-proxy',
    ],
  },
  {
    id: 'list',
    title: '1 MiB list, HTTP/1.1, 8 connections',
    load: { mode: 'get', path: LIST, conns: 8, seconds: 5, warmup: 2 },
    stacks: ['direct', 'postern', ...PEERS, 'go-tunnel-h2', 'go-tunnel-3', 'go-proxy-2', 'nginx-3'],
  },
]
