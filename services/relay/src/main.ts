import { runMain } from '@postern/service'
import { relayService } from './definition.ts'

await runMain(relayService)
