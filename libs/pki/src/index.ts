export {
  createIntermediate,
  createRoot,
  type IssuedLeaf,
  type Issuer,
  type LeafOrder,
  openIssuer,
  type StoredAuthority,
} from './authority.ts'
export { createCsr } from './csr.ts'
export {
  type FileTlsIdentityNeeds,
  fileTlsIdentity,
  type RenewCertificate,
  type RenewingTlsIdentity,
} from './file-tls-identity.ts'
export { readIdentityFiles, writeIdentityFiles } from './identity-files.ts'
export { certificatesFromPem, certificatesToPem } from './pem.ts'
export { equalSecrets, newSecret, sha256 } from './secret.ts'
export { isSignedBy, type Signed, signAs } from './signature.ts'
export { type Part, parseSpiffeId, SERVICE_NAMES, toPart, toSpiffeId } from './spiffe-id.ts'
export {
  parseTlsMaterial,
  type StaticTlsIdentity,
  staticTlsIdentity,
  type TlsIdentity,
  type TlsMaterial,
  toTlsMaterial,
  verifyTlsMaterial,
} from './tls-identity.ts'
export { spiffeIdOfLeaf, verifyChain } from './verify-chain.ts'
export { createWebCertificate, type WebCertificate } from './web-certificate.ts'
