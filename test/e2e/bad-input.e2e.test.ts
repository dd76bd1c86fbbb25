import { afterAll, beforeAll } from 'vitest'
import { certificates } from './bad-input/certificates.ts'
import { commandLine } from './bad-input/command-line.ts'
import { eventsOnTheBus } from './bad-input/events-on-the-bus.ts'
import { hostileHttp } from './bad-input/hostile-http.ts'
import { joining } from './bad-input/joining.ts'
import { restApi } from './bad-input/rest-api.ts'
import { tokensAndIdentities } from './bad-input/tokens-and-identities.ts'
import { type E2eWorld, startE2eWorld } from './support/e2e-world.ts'

// One platform and one cluster for every edge: nothing here may change anything.
let started: E2eWorld | undefined
const world = (): E2eWorld => {
  if (started === undefined) throw new Error('the world was not started')
  return started
}

beforeAll(async () => {
  started = await startE2eWorld()
})
afterAll(async () => {
  await started?.stop()
})

hostileHttp(world)
tokensAndIdentities(world)
certificates(world)
restApi(world)
commandLine(world)
eventsOnTheBus(world)
joining(world)
