import { runMain } from '@postern/service'
import { tunnelBrokerService } from './compose.ts'

await runMain(tunnelBrokerService)
