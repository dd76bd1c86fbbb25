import { setTimeout } from 'node:timers/promises'
import type { ApiClient } from '@postern/bootstrap'
import { between, type Look } from './look.ts'
import type { ByPart, ScaleRun } from './scale-run.ts'

/** The kernel counts CPU by 10 ms: of a part that uses half a per cent this sees ten of them. */
const IDLE_MS = 20_000
const CHANGES = 5
const CHANGE_MS = 1_000

/** Shares of a processor while nothing happens. */
export async function lookWhileIdle(look: Look): Promise<ByPart> {
  const begin = look(0, 0)
  await setTimeout(IDLE_MS)
  return between(begin, look(0, 0))
}

/** What everything that is open costs while nothing happens, and when a grant is made. */
export async function lookWhileOpen(
  api: ApiClient,
  look: Look,
): Promise<Pick<ScaleRun, 'idleShare' | 'changeMicros'>> {
  const idleShare = await lookWhileIdle(look)
  const idle = look(0, 0)
  for (let n = 0; n < CHANGES; n += 1) {
    await api.call('POST', '/v1/grants', {
      name: `one-more-${n}`,
      terms: {
        subjects: ['group:group-0'],
        role: 'role-1',
        clusters: ['cluster-0'],
        namespaces: { names: ['other'] },
      },
    })
    await setTimeout(CHANGE_MS)
  }
  const changed = look(0, 0)
  const share = between(idle, changed)
  const seconds = changed.atSeconds - idle.atSeconds
  const changeMicros = Object.fromEntries(
    Object.entries(share).map(([name, busy]) => [
      name,
      ((busy - (idleShare[name] ?? 0)) * seconds * 1e6) / CHANGES,
    ]),
  )
  return { idleShare, changeMicros }
}
