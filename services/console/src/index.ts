export { consoleService } from './compose.ts'
