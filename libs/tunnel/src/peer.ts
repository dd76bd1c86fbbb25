import { hash, X509Certificate } from 'node:crypto'
import {
  createSecureContext,
  type PeerCertificate,
  type SecureContext,
  type TLSSocket,
} from 'node:tls'
import { type Part, spiffeIdOfLeaf, type TlsMaterial, toPart } from '@postern/pki'

/** Who is at the other end, and until when its certificate says so. */
export type Peer = Part & { readonly certifiedUntil: Date }

/** As its certificate says; undefined if it is no part of Postern. */
export function peerOf(socket: TLSSocket, trustDomain: string): Peer | undefined {
  // Not getPeerX509Certificate: on a client's socket it answers only once.
  const { raw } = socket.getPeerCertificate()
  const part = raw === undefined ? undefined : partOf(raw, trustDomain)
  return part && { ...part, certifiedUntil: new X509Certificate(raw).validToDate }
}

/** For `tls.connect`: the server is the part that was meant, whatever its host name. */
export function checkServerIs(kind: 'relay' | 'gateway', trustDomain: string) {
  return (_host: string, certificate: PeerCertificate): Error | undefined => {
    const part = partOf(certificate.raw, trustDomain)
    if (part?.kind === kind) return undefined
    return new Error(`the certificate of the other side is not that of a ${kind}`)
  }
}

/** What certificates say; not whether anybody trusts them. */
const parts = new Map<string, Part | undefined>()
const PARTS_MAX = 4096

/** Reading one takes longer than all else of a handshake, and the same ones come again and again. */
function partOf(certificate: Buffer, trustDomain: string): Part | undefined {
  const key = `${hash('sha256', certificate, 'base64')} ${trustDomain}`
  if (!parts.has(key)) {
    const [oldest] = parts.keys()
    if (parts.size >= PARTS_MAX && oldest !== undefined) parts.delete(oldest)
    parts.set(key, readPart(certificate, trustDomain))
  }
  return parts.get(key)
}

function readPart(certificate: Buffer, trustDomain: string): Part | undefined {
  try {
    return toPart(trustDomain, spiffeIdOfLeaf(certificate))
  } catch {
    return undefined
  }
}

const contexts = new WeakMap<TlsMaterial, SecureContext>()

/** Made once for each certificate: parsing keys and roots costs more than a handshake's other work. */
export function secureContextOf(material: TlsMaterial): SecureContext {
  const known = contexts.get(material)
  if (known !== undefined) return known
  const { cert, key, ca } = material
  const context = createSecureContext({ cert, key, ca, minVersion: 'TLSv1.3' })
  contexts.set(material, context)
  return context
}
