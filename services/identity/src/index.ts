export type { OnSetupToken } from './compose.ts'
export { createIdentityService, identityService } from './definition.ts'
