import { Duplex } from 'node:stream'
import type { MuxStream } from './api.ts'
import { MuxResetError } from './errors.ts'

/** A stream as node:stream takes it. Destroying the body before it is complete resets the stream. */
export type MuxDuplex = {
  /** The answering head (opening side only); rejects if the stream ends without one. */
  readonly head: Promise<Buffer>
  readonly body: Duplex
}

/** For streams that go through `pipeline`; StreamReceiver costs less. */
export function toDuplex(stream: MuxStream): MuxDuplex {
  let gotHead: (head: Buffer) => void = () => {}
  let gotNone: (error: Error) => void = () => {}
  const head = new Promise<Buffer>((resolve, reject) => {
    gotHead = resolve
    gotNone = reject
  })
  // Whoever has no use for the head does not wait for it.
  head.catch(() => {})
  let written: (() => void) | undefined
  const body = new Duplex({
    read: () => stream.resume(),
    write(chunk: Buffer, _encoding, done) {
      if (stream.write(chunk)) done()
      else written = done
    },
    final(done) {
      stream.end()
      done()
    },
    destroy(error, done) {
      const complete = body.readableEnded && body.writableFinished
      if (error instanceof MuxResetError) stream.reset(error.code, error.message)
      else if (!complete) stream.reset(error === null ? 'cancelled' : 'failed')
      done(error)
    },
  })
  stream.receive({
    onHead: (bytes) => gotHead(Buffer.from(bytes)),
    onData(chunk) {
      if (!body.push(Buffer.from(chunk))) stream.pause()
    },
    onEnd() {
      gotNone(new MuxResetError('failed', 'peer', 'the stream ended without a head'))
      body.push(null)
    },
    onDrain() {
      const done = written
      written = undefined
      done?.()
    },
    onClose(error) {
      if (error === undefined) return
      gotNone(error)
      body.destroy(error)
    },
  })
  return { head, body }
}
