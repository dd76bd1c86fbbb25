import { runMain } from '@postern/service'
import { sessionService } from './compose.ts'

await runMain(sessionService)
