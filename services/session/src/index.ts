export { sessionService } from './definition.ts'
