export { policyService } from './definition.ts'
