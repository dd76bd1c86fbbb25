import { runMain } from '@postern/service'
import { identityService } from './identity-service.ts'

await runMain(identityService)
