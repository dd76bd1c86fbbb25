import { runMain } from '@postern/service'
import { identityService } from './definition.ts'

await runMain(identityService)
