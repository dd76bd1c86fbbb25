import { runMain } from '@postern/service'
import { sessionService } from './definition.ts'

await runMain(sessionService)
