import type { webcrypto } from 'node:crypto'
import { rejections } from '@postern/errors'
import { keyToPem, newKeyPair, SIGNING } from './key-pair.ts'
import {
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  type X509Certificate,
} from './x509-library.ts'

const rejected = rejections({
  INVALID_CSR: ['invalid_argument', 'the certificate request is not PKCS #10 for a P-256 key'],
  CSR_NOT_SIGNED: ['invalid_argument', 'the certificate request is not signed by its own key'],
})

const CSR_BYTES_MAX = 8 * 1024

/** A new key with a PKCS #10 request for it. Names are given by the issuer, never by the request. */
export async function createCsr(): Promise<{ csr: Buffer; key: string }> {
  const keys = await newKeyPair()
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: 'CN=postern',
    keys,
    signingAlgorithm: SIGNING,
  })
  return { csr: Buffer.from(request.rawData), key: keyToPem(keys.privateKey) }
}

/**
 * The public key that the request asks a certificate for, after its proof of possession was checked.
 * @throws Rejection INVALID_CSR, CSR_NOT_SIGNED
 */
export async function parseCsr(csr: Uint8Array): Promise<X509Certificate['publicKey']> {
  if (csr.byteLength === 0 || csr.byteLength > CSR_BYTES_MAX) throw rejected('INVALID_CSR')
  const request = parseRequest(csr)
  if (!isP256(request.publicKey.algorithm)) throw rejected('INVALID_CSR')
  if (!(await isSignedByItself(request))) throw rejected('CSR_NOT_SIGNED')
  return request.publicKey
}

function parseRequest(csr: Uint8Array): Pkcs10CertificateRequest {
  try {
    return new Pkcs10CertificateRequest(new Uint8Array(csr))
  } catch {
    throw rejected('INVALID_CSR')
  }
}

async function isSignedByItself(request: Pkcs10CertificateRequest): Promise<boolean> {
  try {
    return await request.verify()
  } catch {
    return false
  }
}

export function isP256(algorithm: webcrypto.Algorithm): boolean {
  return algorithm.name === 'ECDSA' && 'namedCurve' in algorithm && algorithm.namedCurve === 'P-256'
}
