import { runMain } from '@postern/service'
import { gatewayService } from './definition.ts'

await runMain(gatewayService)
