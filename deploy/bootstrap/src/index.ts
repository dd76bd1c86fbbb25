export { printedSteps, type Step } from './platform/step.ts'
export { story, type StoryStep } from './story/story.ts'
export { createWorld, type World } from './story/world.ts'
