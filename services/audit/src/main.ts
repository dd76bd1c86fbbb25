import { runMain } from '@postern/service'
import { auditService } from './definition.ts'

await runMain(auditService)
