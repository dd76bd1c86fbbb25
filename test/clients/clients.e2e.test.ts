import { afterAll, beforeAll, describe, test } from 'vitest'
import { compareWays } from './src/compare-ways.ts'
import { waysFor } from './src/run-tools.ts'
import type { Tool } from './src/tool.ts'
import { clientNode } from './src/tools/client-node.ts'
import { kubectlBeyondStory } from './src/tools/kubectl.ts'
import { spdy } from './src/tools/spdy.ts'
import { webSocket } from './src/tools/websocket.ts'
import { type ClientsWorld, startClientsWorld, type Ways } from './src/ways.ts'

let world: ClientsWorld
beforeAll(async () => {
  world = await startClientsWorld()
})
afterAll(async () => await world?.stop())

// What needs no build of minutes. `npm run compatibility` plays everything, with every version.
const tools: readonly Tool[] = [kubectlBeyondStory, clientNode, webSocket, spdy]

describe.each(tools)('through Postern, $name $version does as directly', (tool) => {
  let ways: Ways
  beforeAll(async () => {
    await tool.prepare()
    ways = await waysFor(world, tool)
  })

  test.each(tool.exercises)('$title', async (exercise) => {
    await compareWays(exercise, ways)
  })
})
