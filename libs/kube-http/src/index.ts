export { type AgentError, agentErrorHead, agentErrorOf } from './agent-error.ts'
export { type CanonicalOptions, type CanonicalTarget, canonicalTarget } from './canonical-target.ts'
export type { RequestHead, ResponseHead, UpgradeProtocol } from './head.ts'
export {
  decodeLines,
  decodeRequestHead,
  decodeResponseHead,
  EncodedLines,
  encodeRequestHead,
  encodeResponseHead,
  HEAD_BYTES_MAX,
  HeadError,
} from './head-codec.ts'
export { type HeaderLines, isFieldValue, toHeaderLines } from './header-lines.ts'
export { headerName, NAMES_REMEMBERED } from './header-names.ts'
export { rememberTexts } from './known-texts.ts'
export {
  type KubeStatus,
  kubeStatus,
  type StatusDetails,
  type StatusOrder,
  statusJson,
} from './kube-status.ts'
export { type HeadRefusal, type IncomingHead, REQUEST_METHODS } from './request-head.ts'
export {
  contentLengthOf,
  findForbiddenHeader,
  findIdentityHeader,
  forwardableRequestHeaders,
} from './request-headers.ts'
export { type HeadBudget, RequestReader } from './request-reader.ts'
export {
  framingFor,
  lastChunk,
  type OutgoingRequest,
  type PreparedLines,
  prepareLines,
  type RequestFraming,
  writeChunk,
  writeRequestHead,
} from './request-writer.ts'
export { HttpSyntaxError, toResponseHead } from './response-head.ts'
export { forwardableResponseHeaders, isForwardingRedirect } from './response-headers.ts'
export {
  createResponseReader,
  type ResponseReader,
  type ResponseReceiver,
} from './response-reader.ts'
export { wantedUpgrade } from './wanted-upgrade.ts'
