export { consoleService } from './definition.ts'
