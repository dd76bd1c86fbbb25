export { policyService } from './compose.ts'
