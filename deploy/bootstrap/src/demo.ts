import pc from 'picocolors'
import { mebibytes, memoryOfTree } from './platform/memory.ts'
import { printedSteps } from './platform/step.ts'
import type { Interruption } from './program/interruption.ts'
import { runProgram } from './program/run-program.ts'
import { story } from './story/story.ts'
import { createWorld, type World } from './story/world.ts'

const say = (line: string) => void process.stdout.write(`${line}\n`)

await runProgram(main)

async function main(_args: readonly string[], interruption: Interruption): Promise<number> {
  const began = performance.now()
  say(pc.bold('Postern, played from beginning to end in a folder that is thrown away'))
  const world = await createWorld(interruption.orStop(printedSteps((line) => say(`  ${line}`))))
  try {
    const failed = await interruption.race(play(world, interruption.signal))
    const memory = memoryOfTree(process.pid)
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    const used = memory === undefined ? '' : `, ${mebibytes(memory)} with its clusters`
    say(
      failed === 0
        ? pc.green(`all ${story.length} steps hold (${seconds} s${used})`)
        : pc.red(`${failed} failed`),
    )
    return failed === 0 ? 0 : 1
  } finally {
    await world.stop()
  }
}

/** Answers how many steps failed. A step builds on those before it, so the first failure ends it. */
async function play(world: World, signal: AbortSignal): Promise<number> {
  for (const [index, step] of story.entries()) {
    signal.throwIfAborted()
    const began = performance.now()
    say(pc.bold(`${index + 1}. ${step.title}`))
    try {
      await step.run(world, (line) => say(`   ${line}`))
      say(pc.green(`   holds (${((performance.now() - began) / 1000).toFixed(1)} s)`))
    } catch (error) {
      signal.throwIfAborted()
      say(
        pc.red(
          `   does not hold: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        ),
      )
      return story.length - index
    }
  }
  return 0
}
