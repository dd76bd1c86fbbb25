import { setTheScene } from './01-set-the-scene.ts'
import { accountJustInTime } from './02-account-just-in-time.ts'
import { everyKubectlCommand } from './03-every-kubectl-command.ts'
import { revocationCutsStreams } from './04-revocation-cuts-streams.ts'
import { readOnlyInOneNamespace } from './05-read-only-in-one-namespace.ts'
import { anotherClusterByLabel } from './06-another-cluster-by-label.ts'
import { stateIsTheFoldOfItsLog } from './07-state-is-the-fold-of-its-log.ts'
import { serversFailAndComeBack } from './08-servers-fail-and-come-back.ts'
import type { StoryStep } from './story-step.ts'

/** What Postern is for, played with real servers and a real kubectl. Steps build on each other. */
export const story: readonly StoryStep[] = [
  setTheScene,
  accountJustInTime,
  everyKubectlCommand,
  revocationCutsStreams,
  readOnlyInOneNamespace,
  anotherClusterByLabel,
  stateIsTheFoldOfItsLog,
  serversFailAndComeBack,
]
