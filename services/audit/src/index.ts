export { auditService } from './definition.ts'
