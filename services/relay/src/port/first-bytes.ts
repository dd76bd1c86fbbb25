import type { Socket } from 'node:net'
import {
  createClientHelloReader,
  PREFACE_FIRST_BYTE,
  parsePreface,
  type Route,
  toRoute,
} from '@postern/tunnel'

/** What a new connection is for, as its first bytes say. */
export type Opening = { readonly to: 'gateway-pair'; readonly number: string } | Route

const TLS_HANDSHAKE = 0x16

/**
 * Reads as much as it takes to know the route, and leaves the socket paused with everything that its
 * next owner must see put back. Undefined: there is no route, or it took too long or too much.
 */
export function readOpening(
  socket: Socket,
  trustDomain: string,
  deadlineMs: number,
): Promise<Opening | undefined> {
  return new Promise((resolve) => {
    let push: ((chunk: Buffer) => Progress) | undefined
    const done = (opening: Opening | undefined, putBack?: Buffer) => {
      clearTimeout(timer)
      socket.pause()
      socket.off('data', read).off('end', fail).off('close', fail)
      if (putBack !== undefined && putBack.length > 0) socket.unshift(putBack)
      resolve(opening)
    }
    const fail = () => done(undefined)
    const read = (chunk: Buffer) => {
      push ??= readerFor(chunk[0], trustDomain)
      const progress = push(chunk)
      if (progress !== 'more') done(progress.opening, progress.putBack)
    }
    const timer = setTimeout(fail, deadlineMs)
    socket.on('data', read).on('end', fail).on('close', fail)
  })
}

type Progress = 'more' | { readonly opening: Opening | undefined; readonly putBack?: Buffer }

function readerFor(first: number | undefined, trustDomain: string): (chunk: Buffer) => Progress {
  if (first === TLS_HANDSHAKE) return helloReader(trustDomain)
  if (first === PREFACE_FIRST_BYTE) return prefaceReader()
  return () => ({ opening: undefined })
}

function helloReader(trustDomain: string): (chunk: Buffer) => Progress {
  const reader = createClientHelloReader()
  return (chunk) => {
    const hello = reader.push(chunk)
    switch (hello.status) {
      case 'more':
        return 'more'
      case 'bad':
        return { opening: undefined }
      case 'hello':
        return { opening: toRoute(hello.serverName, trustDomain), putBack: hello.bytes }
    }
  }
}

function prefaceReader(): (chunk: Buffer) => Progress {
  let bytes = Buffer.alloc(0)
  return (chunk) => {
    bytes = Buffer.concat([bytes, chunk])
    const preface = parsePreface(bytes)
    switch (preface.status) {
      case 'more':
        return 'more'
      case 'bad':
        return { opening: undefined }
      case 'preface':
        return {
          opening: { to: 'gateway-pair', number: preface.number },
          putBack: bytes.subarray(preface.length),
        }
    }
  }
}
