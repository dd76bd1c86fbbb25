export { sessionService } from './compose.ts'
