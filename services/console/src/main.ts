import { runMain } from '@postern/service'
import { consoleService } from './compose.ts'

await runMain(consoleService)
