export { type CanonicalOptions, type CanonicalTarget, canonicalTarget } from './canonical-target.ts'
export type { RequestHead, ResponseHead, UpgradeProtocol } from './head.ts'
export {
  decodeRequestHead,
  decodeResponseHead,
  encodeRequestHead,
  encodeResponseHead,
  HEAD_BYTES_MAX,
  HeadError,
} from './head-codec.ts'
export { type HeaderLines, toHeaderLines } from './header-lines.ts'
