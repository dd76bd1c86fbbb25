import type { World } from './world.ts'

/** One step of the story: it throws where something is not as it must be. */
export type StoryStep = {
  readonly title: string
  run(world: World, say: (line: string) => void): Promise<void>
}
