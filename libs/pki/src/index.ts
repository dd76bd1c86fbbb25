export type { TlsIdentity, TlsMaterial } from './tls-identity.ts'
