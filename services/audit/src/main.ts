import { runMain } from '@postern/service'
import { auditService } from './compose.ts'

await runMain(auditService)
