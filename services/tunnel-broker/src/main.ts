import { runMain } from '@postern/service'
import { tunnelBrokerService } from './definition.ts'

await runMain(tunnelBrokerService)
