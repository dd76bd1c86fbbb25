import { join } from 'node:path'
import { createCommand } from '@postern/bootstrap'
import { environment } from '../config.ts'
import type { Tool } from '../tool.ts'
import { goProgram } from './go-program.ts'
import { moduleVersion } from './pinned-versions.ts'

const SOURCE_DIR = join(environment.clientsDir, 'client-go')

const EXERCISES = {
  informer: 'informer, filled by WatchList',
  protobuf: 'list in pages and watch, in protobuf',
  'leader-election': 'leader election by a lease, and its hand-over',
  'exec-websocket': 'remotecommand over WebSocket: stdin to its end, exit code',
  'exec-spdy': 'remotecommand over SPDY: stdin to its end, exit code',
  'exec-fallback': 'remotecommand that falls back from WebSocket to SPDY',
  'exec-terminal': 'remotecommand with a terminal that is resized',
  'exec-cancelled': 'remotecommand that ends with its context',
  logs: 'logs',
  'port-forward-tunnel': 'port-forward through the tunnel in a WebSocket',
  'port-forward-spdy': 'port-forward over SPDY',
} as const

let building: Promise<string> | undefined
const program = () => {
  building ??= goProgram({ name: 'client-go', sourceDir: SOURCE_DIR })
  return building
}

/** A Go program as controllers and operators are. */
export const clientGo: Tool = {
  id: 'client-go',
  name: 'client-go',
  version: moduleVersion(join(SOURCE_DIR, 'go.mod'), 'k8s.io/client-go').slice(1),
  pods: true,
  prepare: async () => void (await program()),
  exercises: Object.entries(EXERCISES).map(([id, title]) => ({
    title,
    async play({ kubeconfig, namespace }) {
      const { variables: env } = environment
      const command = createCommand({ name: 'client-go', program: await program(), args: [], env })
      return await command.ok([id, kubeconfig, namespace])
    },
  })),
}
