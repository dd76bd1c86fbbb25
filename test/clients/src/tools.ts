import type { Tool } from './tool.ts'
import { clientGo } from './tools/client-go.ts'
import { clientNode } from './tools/client-node.ts'
import { helm4 } from './tools/helm.ts'
import { kubectlOfCluster, olderKubectls } from './tools/kubectl.ts'
import { pythonClient } from './tools/python.ts'
import { slowReaders } from './tools/slow-readers.ts'
import { spdy } from './tools/spdy.ts'
import { webSocket } from './tools/websocket.ts'

/** Every client there is, in the order in which they run and are written down. */
export const everyTool: readonly Tool[] = [
  kubectlOfCluster,
  ...olderKubectls,
  helm4,
  clientGo,
  clientNode,
  pythonClient,
  webSocket,
  spdy,
  slowReaders,
]
