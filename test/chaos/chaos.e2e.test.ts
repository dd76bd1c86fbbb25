import { afterAll, beforeAll } from 'vitest'
import { faults } from './faults.ts'
import { rollingRestart } from './rolling-restart.ts'
import { type ChaosWorld, startChaosWorld } from './src/world/chaos-world.ts'

// One platform and one cluster; what breaks most of it comes last.
let started: ChaosWorld | undefined
const world = (): ChaosWorld => {
  if (started === undefined) throw new Error('the world was not started')
  return started
}

beforeAll(async () => {
  started = await startChaosWorld()
})
afterAll(async () => {
  await started?.stop()
})

rollingRestart(world)
faults(world)
