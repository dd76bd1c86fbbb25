import type { LoadRun } from '../lines/measure-loads.ts'
import type { WatchRun } from '../lines/measure-watches.ts'
import { STACKS, type StackName } from '../stacks/stack.ts'
import { sumOf } from '../statistics.ts'
import type { Bar } from './bar.ts'
import { addedP50, loadRatios, loads, watches, watchRatios } from './figures.ts'

const GIB = 1024 ** 3
const perSecond = (run: LoadRun) => run.perSecond
const hopMicros = (run: LoadRun) => run.hopMicros
const gigabits = (run: LoadRun) => (run.bytesPerSecond * 8) / 1e9
const perGib = (hop: string) => (run: WatchRun) => GIB / (run.bytesPerWatch[hop] ?? Infinity)
const allHops = (run: WatchRun) => sumOf(Object.values(run.bytesPerWatch))

/** What is wanted, line by line. Ratios are of Postern to a peer in the same round. */
export const bars: readonly Bar[] = [
  rate('get', 'small GET, 32 connections: requests', 'go-tunnel-2', 1.6),
  rate('get', 'small GET, 32 connections: requests', 'go-tunnel-tuned', 1.3),
  rate('get', 'small GET, 32 connections: requests', 'nginx-3', 0.9),
  cpu('get', 'small GET, 32 connections: CPU of all hops', 'go-tunnel-2', 0.45),
  cpu('get', 'small GET, 32 connections: CPU of all hops', 'go-tunnel-tuned', 0.58),
  cpu('get', 'small GET, 32 connections: CPU of all hops', 'nginx-3', 0.9),
  ...['1x32', '4x8', '32x1'].flatMap((shape) => [
    rate(`h2-${shape}`, `HTTP/2, ${shape}: requests`, 'go-tunnel-2', 1.3),
    rate(`h2-${shape}`, `HTTP/2, ${shape}: requests`, 'go-tunnel-tuned', 1.15),
  ]),
  {
    id: 'one/added-p50',
    title: `one connection: p50 added to direct, to ${STACKS['go-tunnel-2']}`,
    unit: 'times',
    wanted: { atMost: 0.65 },
    figures: (results) => addedP50(results, 'one', 'go-tunnel-2'),
  },
  {
    id: 'one/p99',
    title: `one connection: p99, to ${STACKS['go-tunnel-2']}`,
    unit: 'times',
    wanted: { atMost: 1.2 },
    figures: (results) => loadRatios(results, 'one', 'go-tunnel-2', (run) => run.p99Micros),
  },
  rate('list', '1 MiB bodies: bytes', 'go-tunnel-2', 0.9),
  rate('connect', 'new connections, one GET each', 'go-proxy-2', 0.7),
  stream('exec-up', 'exec to the cluster'),
  stream('exec-down', 'exec from the cluster'),
  {
    id: 'echo/p50',
    title: `exec, echo: p50, to ${STACKS['go-proxy-3']}`,
    unit: 'times',
    wanted: { atMost: 1.2 },
    figures: (results) => loadRatios(results, 'echo', 'go-proxy-3', (run) => run.p50Micros),
  },
  held('watch-h2', 'gateway', 'idle watches over HTTP/2: a GiB of gateway', 50_000),
  held('watch-h1', 'gateway', 'idle watches over HTTP/1.1: a GiB of gateway', 25_000),
  held('watch-h2', 'agent', 'idle watches over HTTP/2: a GiB of agent', 50_000),
  held('watch-h1', 'agent', 'idle watches over HTTP/1.1: a GiB of agent', 50_000),
  ...['watch-h2', 'watch-h1'].map(
    (line): Bar => ({
      id: `${line}/memory`,
      title: `memory of a watch over ${line === 'watch-h2' ? 'HTTP/2' : 'HTTP/1.1'}, all hops, to two Go reverse proxies`,
      unit: 'times',
      wanted: { atMost: 0.3 },
      figures: (results) => watchRatios(results, line, 'go-proxy-2', allHops),
    }),
  ),
  {
    id: 'work/decision',
    title: 'decision and token look-up of a request',
    unit: 'us',
    wanted: { atMost: 1 },
    figures: ({ work }) => work.map((run) => run.tokenLookUpMicros + run.decisionMicros),
  },
  {
    id: 'work/audit',
    title: 'audit work of a request',
    unit: 'us',
    wanted: { atMost: 10 },
    figures: ({ work }) => work.map((run) => run.wholeMicros),
  },
]

function rate(line: string, title: string, peer: StackName, atLeast: number): Bar {
  return {
    id: `${line}/rate/${peer}`,
    title: `${title}, to ${STACKS[peer]}`,
    unit: 'times',
    wanted: { atLeast },
    figures: (results) => loadRatios(results, line, peer, perSecond),
  }
}

function cpu(line: string, title: string, peer: StackName, atMost: number): Bar {
  return {
    id: `${line}/cpu/${peer}`,
    title: `${title}, to ${STACKS[peer]}`,
    unit: 'times',
    wanted: { atMost },
    figures: (results) => loadRatios(results, line, peer, hopMicros),
  }
}

function stream(line: string, title: string): Bar {
  return {
    id: `${line}/rate`,
    title,
    unit: 'Gbit/s',
    wanted: { atLeast: 3 },
    figures: (results) => loads(results, line, 'postern').map(gigabits),
  }
}

function held(line: string, hop: string, title: string, atLeast: number): Bar {
  return {
    id: `${line}/${hop}`,
    title,
    unit: 'watches a GiB',
    wanted: { atLeast },
    figures: (results) => watches(results, line, 'postern').map(perGib(hop)),
  }
}
