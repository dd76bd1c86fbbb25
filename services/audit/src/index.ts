export { auditService } from './compose.ts'
