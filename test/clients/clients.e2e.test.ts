import { afterAll, beforeAll, describe, test } from 'vitest'
import { compareWays } from './src/compare-ways.ts'
import { waysFor } from './src/run-tools.ts'
import { MissingToolError, type Tool } from './src/tool.ts'
import { clientGo } from './src/tools/client-go.ts'
import { clientNode } from './src/tools/client-node.ts'
import { kubectlBeyondStory } from './src/tools/kubectl.ts'
import { pythonClient } from './src/tools/python.ts'
import { slowReaders } from './src/tools/slow-readers.ts'
import { spdy } from './src/tools/spdy.ts'
import { webSocket } from './src/tools/websocket.ts'
import { type ClientsWorld, startClientsWorld, type Ways } from './src/ways.ts'

let world: ClientsWorld
beforeAll(async () => {
  world = await startClientsWorld()
})
afterAll(async () => await world?.stop())

// What needs no build of minutes. `npm run compatibility` plays everything, with every version.
const tools: readonly Tool[] = [
  kubectlBeyondStory,
  clientGo,
  clientNode,
  pythonClient,
  webSocket,
  spdy,
  slowReaders,
]

describe.each(tools)('through Postern, $name $version does as directly', (tool) => {
  let ways: Ways
  let missing: string | undefined
  beforeAll(async () => {
    missing = await whyMissing(tool)
    ways = await waysFor(world, tool)
  })

  test.for(tool.exercises)('$title', async (exercise, { skip }) => {
    skip(missing !== undefined, `not run: ${missing}`)
    await compareWays(exercise, ways)
  })
})

/** A machine may lack what a client is made of: that is said, and is no success. */
async function whyMissing({ prepare }: Tool): Promise<string | undefined> {
  try {
    await prepare()
    return undefined
  } catch (error) {
    if (error instanceof MissingToolError) return error.message
    throw error
  }
}
