import { afterAll, beforeAll } from 'vitest'
import { credentialsAndCiphertext } from './properties/credentials-and-ciphertext.ts'
import { humanVisible } from './properties/human-visible.ts'
import { noAccessByDefault } from './properties/no-access-by-default.ts'
import { noOrphan } from './properties/no-orphan.ts'
import { nothingUnrecorded } from './properties/nothing-unrecorded.ts'
import { revocation } from './properties/revocation.ts'
import { revocationWhenBroken } from './properties/revocation-when-broken.ts'
import { stateIsTheFold } from './properties/state-is-the-fold.ts'
import { type E2eWorld, startE2eWorld } from './support/e2e-world.ts'

// One platform and one cluster; what breaks more of them comes later.
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

noAccessByDefault(world)
revocation(world)
stateIsTheFold(world)
revocationWhenBroken(world)
humanVisible(world)
// Gateways that lose what they would have recorded of reads, and parts that die.
nothingUnrecorded(world)
credentialsAndCiphertext(world)
// The last: it leaves the platform without a session service.
noOrphan(world)
