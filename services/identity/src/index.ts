export type { OnSetupToken } from './compose.ts'
export { createIdentityService, identityService } from './identity-service.ts'
