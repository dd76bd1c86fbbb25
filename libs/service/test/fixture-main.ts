import { runMain } from '@postern/service'
import { fixtureService } from './fixture-service.ts'

await runMain(fixtureService())
