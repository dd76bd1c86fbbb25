// What single steps of a request cost the gateway, in a process of its own: prints one line of JSON.
import { measureAudit } from './audit-work.ts'
import { measureDecision } from './decision-work.ts'
import { measureMemory } from './memory-work.ts'

const now = new Date()
const decision = measureDecision(now)
const audit = await measureAudit(now)
process.stdout.write(`${JSON.stringify({ ...decision, ...audit, ...measureMemory() })}\n`)
