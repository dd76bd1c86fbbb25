import { runMain } from '@postern/service'
import { policyService } from './compose.ts'

await runMain(policyService)
