export { printedSteps, type Step } from './platform/step.ts'
export { story } from './story/story.ts'
export type { StoryStep } from './story/story-step.ts'
export { createWorld, type World } from './story/world.ts'
