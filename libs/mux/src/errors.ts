/** Why a stream was aborted. `stop`: its sender has sent all it will, and reads no more. */
export type ResetCode = 'stop' | 'cancelled' | 'refused' | 'failed' | 'overloaded'

/** A stream ended before its time. `refused` says that the other side has done nothing with it. */
export class MuxResetError extends Error {
  override readonly name = 'MuxResetError'
  readonly code: ResetCode
  /** Who aborted it. */
  readonly by: 'us' | 'peer'

  constructor(code: ResetCode, by: 'us' | 'peer', text: string) {
    super(text === '' ? `the stream was reset: ${code}` : text)
    this.code = code
    this.by = by
  }
}

/** The connection is closed or closing; every stream that was not complete ends with this. */
export class MuxClosedError extends Error {
  override readonly name = 'MuxClosedError'
}

/** The other side broke the protocol. The connection closes. */
export class MuxProtocolError extends Error {
  override readonly name = 'MuxProtocolError'
}
