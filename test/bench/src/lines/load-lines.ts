import type { Load } from '../load/run-load.ts'
import type { StackName } from '../stacks/stack.ts'

/** One kind of load, the same for every stack. */
export type LoadLine = {
  readonly id: string
  readonly title: string
  readonly load: Load
  readonly stacks: readonly StackName[]
}

/** 1 MiB of objects. */
export const LIST = '/api/v1/namespaces/bench/configmaps'
const GIB = 1024 * 1024 * 1024
const TUNNELS: readonly StackName[] = ['go-tunnel-2', 'go-tunnel-tuned', 'go-tunnel-gathered']
const STREAM_STACKS: readonly StackName[] = [
  'direct',
  'postern',
  'go-tunnel-2',
  'go-proxy-2',
  'go-proxy-3',
  'nginx-3',
]

export const loadLines: readonly LoadLine[] = [
  {
    id: 'get',
    title: 'small GET (2 KiB), HTTP/1.1, 32 connections',
    load: { mode: 'get', conns: 32, seconds: 4, warmup: 1 },
    stacks: [
      'direct',
      'postern',
      ...TUNNELS,
      'go-tunnel-h2',
      'go-tunnel-3',
      'go-proxy-2',
      'nginx-3',
      'kubectl-proxy',
    ],
  },
  {
    id: 'one',
    title: 'small GET, HTTP/1.1, one connection',
    load: { mode: 'get', conns: 1, seconds: 4, warmup: 1 },
    stacks: ['direct', 'postern', 'go-tunnel-2', 'go-tunnel-tuned', 'go-proxy-2', 'nginx-3'],
  },
  http2Line('h2-1x32', 1, 32),
  http2Line('h2-4x8', 4, 8),
  http2Line('h2-32x1', 32, 1),
  {
    id: 'list',
    title: '1 MiB list, HTTP/1.1, 8 connections',
    load: { mode: 'get', path: LIST, conns: 8, seconds: 4, warmup: 1 },
    stacks: ['direct', 'postern', ...TUNNELS, 'go-tunnel-3', 'go-proxy-2', 'nginx-3'],
  },
  {
    id: 'connect',
    title: 'new connections, one GET each, 8 at once',
    load: { mode: 'connect', conns: 8, seconds: 3, warmup: 1 },
    stacks: ['direct', 'postern', 'go-tunnel-2', 'go-proxy-2', 'nginx-3'],
  },
  {
    id: 'exec-up',
    title: 'exec, 1 GiB to the cluster (WebSocket)',
    load: { mode: 'up', bytes: GIB },
    stacks: STREAM_STACKS,
  },
  {
    id: 'exec-down',
    title: 'exec, 1 GiB from the cluster (WebSocket)',
    load: { mode: 'down', bytes: GIB },
    stacks: STREAM_STACKS,
  },
  {
    id: 'echo',
    title: 'exec, 64 bytes there and back (WebSocket)',
    load: { mode: 'echo', seconds: 3, warmup: 1 },
    stacks: STREAM_STACKS,
  },
]

function http2Line(id: string, conns: number, streams: number): LoadLine {
  return {
    id,
    title: `small GET, HTTP/2, ${conns} connections of ${streams} streams`,
    load: { mode: 'get', h2: true, conns, streams, seconds: 3, warmup: 1 },
    stacks: ['postern', ...TUNNELS, 'nginx-3'],
  }
}
