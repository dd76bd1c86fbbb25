import { runMain } from '@postern/service'
import { agentService } from './definition.ts'

await runMain(agentService)
