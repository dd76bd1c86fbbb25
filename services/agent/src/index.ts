export { agentService } from './definition.ts'
