import type { Check, Generated } from '../check.ts'
import { tryForged } from '../forged/try-forged.ts'

export function identityChecks({ forged, seed }: Generated): Check[] {
  return [
    {
      id: 'HH-forged',
      title: `${forged} generated requests that claim another identity: none arrives with one that Postern did not set, and none that was not authorized`,
      async run(worlds) {
        await tryForged(await worlds.recording(), { count: forged, seed })
      },
    },
  ]
}
