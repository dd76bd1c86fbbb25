import { createWorld, story, type World } from '@postern/bootstrap'
import { afterAll, beforeAll, describe, test } from 'vitest'

describe('the story of npm run demo', () => {
  let world: World

  beforeAll(async () => {
    world = await createWorld((_name, work) => work())
  })
  afterAll(async () => {
    await world.stop()
  })

  // Each step builds on those before it.
  test.each(story)('$title', { timeout: 180_000 }, async (step) => {
    await step.run(world, () => {})
  })
})
