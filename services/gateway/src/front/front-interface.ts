import type { Duplex, Readable, Writable } from 'node:stream'
import type { HeaderLines, ResponseHead, UpgradeProtocol } from '@postern/kube-http'

/** What a client asks: everything that a decision may look at. Nothing here is trusted yet. */
export type FrontHead = {
  readonly protocol: 'http/1.1' | 'h2'
  readonly method: string
  /** As received: not decoded, not normalized. */
  readonly target: string
  /** The one value of Host or :authority. */
  readonly authority: string
  /** SNI of the TLS connection, if the client sent one. */
  readonly serverName: string | undefined
  readonly headers: HeaderLines
  readonly remoteAddress: string
  /** Set when the client wants the connection itself. */
  readonly upgrade: UpgradeProtocol | undefined
}

/** One request, however it was carried. */
export type FrontRequest = {
  readonly head: FrontHead
  readonly body: Readable
  /** Aborted when the client is gone or the connection failed, never by a complete answer. */
  readonly gone: AbortSignal
  /** Sends the head at once and answers where the body goes. Once. */
  respond(head: ResponseHead): Writable
  /** Answers whole, and closes the connection afterwards where `close` says so. */
  answer(head: ResponseHead, body: Uint8Array, options?: { close?: boolean }): void
  /** Sends 101 and hands over the raw connection. Only with `head.upgrade`, once. */
  switchProtocols(headers: HeaderLines): Duplex
  /** Ends it so that the client sees that it is not complete. */
  abort(): void
  readonly responded: boolean
}

export type RequestHandler = (request: FrontRequest) => void

/** Where clients connect. */
export type Front = {
  listen(): Promise<{ readonly port: number }>
  /** Takes no new connections, tells clients to go elsewhere, lets requests end until the deadline. */
  close(deadlineMs: number): Promise<void>
  /** Serves new connections with another certificate. */
  setCertificate(certificate: ServingCertificate): void
  readonly connections: number
}

/** PEM. */
export type ServingCertificate = { readonly cert: string; readonly key: string }
