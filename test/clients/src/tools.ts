import type { Tool } from './tool.ts'
import { clientNode } from './tools/client-node.ts'
import { kubectlOfCluster, olderKubectls } from './tools/kubectl.ts'
import { spdy } from './tools/spdy.ts'
import { webSocket } from './tools/websocket.ts'

/** Every client there is, in the order in which they run and are written down. */
export const everyTool: readonly Tool[] = [
  kubectlOfCluster,
  ...olderKubectls,
  clientNode,
  webSocket,
  spdy,
]
