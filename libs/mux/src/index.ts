export type { MuxLimits, MuxSession, MuxStream, StreamReceiver } from './api.ts'
export { type MuxDuplex, toDuplex } from './duplex.ts'
export { MuxClosedError, MuxProtocolError, MuxResetError, type ResetCode } from './errors.ts'
export { createMuxSession, type MuxSessionOptions } from './session.ts'
