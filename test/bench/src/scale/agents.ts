// Many agents in one process, each the real one: reads their settings from standard input and says when all of them are parked.
import { json } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'
import { agentService } from '@postern/agent'
import { type RunningService, runService } from '@postern/service'
import { createLog } from '@postern/telemetry'

const READY_MS_MAX = 60_000
const LOOK_AGAIN_MS = 50
const AT_ONCE = 4

const settings: unknown = await json(process.stdin)
if (!Array.isArray(settings)) throw new Error('the settings of agents are a list')
const log = createLog({ name: 'agents', level: 'error' })
const left = settings.values()
await Promise.all(Array.from({ length: AT_ONCE }, startOneAfterTheOther))
process.stdout.write('parked\n')

async function startOneAfterTheOther(): Promise<void> {
  for (const env of left) await untilParked(await runService(agentService, env, { log }))
}

async function untilParked(agent: RunningService): Promise<void> {
  const deadline = Date.now() + READY_MS_MAX
  for (;;) {
    const waitingFor = await agent.ready()
    if (waitingFor === undefined) return
    if (Date.now() > deadline) throw new Error(`an agent is not ready: ${waitingFor}`)
    await setTimeout(LOOK_AGAIN_MS)
  }
}
