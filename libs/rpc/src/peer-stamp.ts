import type { PeerCertificate } from 'node:tls'
import { type Metadata, ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js'
import { spiffeIdOfLeaf, toPart } from '@postern/pki'
import type { Peer } from './call.ts'

/** Written by the interceptor below alone: whatever a client sends under this name is removed. */
export const PEER_STAMP = 'postern-peer-spiffe-id'

const CACHED_PEERS_MAX = 1000

/**
 * Stamps each call with the SPIFFE ID of the certificate that its connection was verified with. The
 * layer above knows nothing of connections, so the metadata carries it there. An expired certificate
 * on a connection that was opened in time is no identity any more.
 */
export function stampPeer(needs: { trustDomain: string; now: () => Date }): ServerInterceptor {
  const toPeer = createPeerCache(needs.trustDomain)
  return (_method, call) =>
    new ServerInterceptingCall(call, {
      start(next) {
        next({
          onReceiveMetadata(metadata: Metadata, nextMetadata) {
            metadata.remove(PEER_STAMP)
            const certificate = call.getAuthContext().sslPeerCertificate
            const isValid = certificate !== undefined && isValidAt(certificate, needs.now())
            const peer = isValid ? toPeer(certificate) : undefined
            if (peer !== undefined) metadata.set(PEER_STAMP, peer.spiffeId)
            nextMetadata(metadata)
          },
        })
      },
    })
}

/** Parsing a certificate costs more than the rest of a small call. */
function createPeerCache(trustDomain: string): (certificate: PeerCertificate) => Peer | undefined {
  const peers = new Map<string, Peer | undefined>()
  return (certificate) => {
    const fingerprint = certificate.fingerprint512
    if (peers.has(fingerprint)) return peers.get(fingerprint)
    const peer = parsePeer(trustDomain, certificate)
    const [oldest] = peers.keys()
    if (peers.size >= CACHED_PEERS_MAX && oldest !== undefined) peers.delete(oldest)
    peers.set(fingerprint, peer)
    return peer
  }
}

function parsePeer(trustDomain: string, certificate: PeerCertificate): Peer | undefined {
  try {
    return toPart(trustDomain, spiffeIdOfLeaf(certificate.raw))
  } catch {
    return undefined
  }
}

function isValidAt({ valid_from, valid_to }: PeerCertificate, at: Date): boolean {
  return Date.parse(valid_from) <= at.getTime() && at.getTime() < Date.parse(valid_to)
}
