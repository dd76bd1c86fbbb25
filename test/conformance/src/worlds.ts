import type { Step } from '@postern/bootstrap'
import { type E2eWorld, startE2eWorld } from '@postern/e2e/support'
import { type RecordingWorld, startRecordingWorld } from './recording/recording-world.ts'

export const WHOLE = 'whole'

/** What checks play with, started by the first that needs it. */
export type Worlds = {
  /** A platform with a real cluster. */
  cluster(): Promise<E2eWorld>
  /** The same platform, and a cluster whose API server records. As at first: nothing has arrived. */
  recording(): Promise<RecordingWorld>
  /** The same platform, and one more real cluster: "whole", whose accounts may be administrators. */
  wholeCluster(): Promise<E2eWorld>
  /** For what takes long. */
  readonly say: (text: string) => void
  stop(): Promise<void>
}

export function createWorlds({ say, step }: { say: (text: string) => void; step?: Step }): Worlds {
  let started: Promise<E2eWorld> | undefined
  let recorded: Promise<RecordingWorld> | undefined
  let whole: Promise<E2eWorld> | undefined
  const cluster = () => {
    if (started === undefined)
      say('starting a platform and a cluster; the first build takes minutes')
    started ??= startE2eWorld(step)
    return started
  }
  const addWhole = async () => {
    const world = await cluster()
    await world.addCluster(WHOLE, { env: WHOLE }, 'INSTALL_LEVEL_ADMIN')
    return world
  }
  return {
    say,
    cluster,
    wholeCluster() {
      whole ??= addWhole()
      return whole
    },
    async recording() {
      recorded ??= cluster().then((world) => startRecordingWorld(world))
      const world = await recorded
      world.api.reset()
      return world
    },
    async stop() {
      // What did not start has nothing to stop, and has told its check why.
      await recorded?.then((world) => world.stop()).catch(() => {})
      await started?.then((world) => world.stop()).catch(() => {})
    },
  }
}
