import type { Duplex } from 'node:stream'
import type { HeaderLines, ResponseHead, UpgradeProtocol } from '@postern/kube-http'
import type { AnswerFraming } from './answer-framing.ts'
import type { ClientLines } from './client-lines.ts'

/** The last token that came on a connection, and what its hash is. */
export type TokenMemory = {
  token?: { readonly text: string; readonly sha256: string }
}

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
  /** The same object as that of the request before, where the same was said. */
  readonly lines: ClientLines
  /** Set when the client wants the connection itself. */
  readonly upgrade: UpgradeProtocol | undefined
  readonly memory: TokenMemory
}

/**
 * Who hears of a client, as long as its request runs. Called in order; one of `onSent` and `onGone` is
 * the last.
 */
export type ClientListener = {
  /** A part of the body. The chunk is good for the call only. */
  onBody(chunk: Buffer): void
  onBodyEnd(): void
  /** More of the answer may be written. */
  onAnswerDrain(): void
  /** The whole answer is on its way: one without a body maybe before it was ended. */
  onSent(): void
  /** The client went away, or broke its request: nothing arrives there any more. */
  onGone(): void
}

/** Where the bytes of an answer go. */
export type AnswerSink = {
  /** False: wait for `onAnswerDrain`. */
  write(chunk: Buffer): boolean
  end(): void
  /** Ends it so that the client sees that it is not complete. Nothing is called any more. */
  abort(): void
}

/** One request, however it was carried. What is said to a client that is gone is said to nobody. */
export type FrontRequest = AnswerSink & {
  /** The chunk is copied: it is the caller's again. */
  write(chunk: Buffer): boolean
  readonly head: FrontHead
  readonly gone: boolean
  readonly responded: boolean
  /** Once. Until then the body waits, and its client with it. */
  listen(listener: ClientListener): void
  /** Holds the body up, and its client with it. */
  pause(): void
  resume(): void
  /**
   * Sends the head at once, and answers what follows it: a body by `write` and `end`, of the length that the
   * head says, if it says one. Nothing is called before it returns.
   */
  respond(head: ResponseHead): AnswerFraming
  /** Answers whole, and closes the connection afterwards where `close` says so. Nothing is called any more. */
  answer(head: ResponseHead, body: Uint8Array, options?: { close?: boolean }): void
  /** Sends 101 and hands over the raw connection. Only with `head.upgrade`. Nothing is called any more. */
  switchProtocols(headers: HeaderLines): Duplex
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
