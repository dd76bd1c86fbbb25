import { runMain } from '@postern/service'
import { policyService } from './definition.ts'

await runMain(policyService)
