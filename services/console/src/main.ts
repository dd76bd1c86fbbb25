import { runMain } from '@postern/service'
import { consoleService } from './definition.ts'

await runMain(consoleService)
