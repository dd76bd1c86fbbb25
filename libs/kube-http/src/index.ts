export { type AgentError, agentErrorHead, agentErrorOf } from './agent-error.ts'
export { type Authorization, authorizationOf } from './authorization.ts'
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
export {
  type KubeStatus,
  kubeStatus,
  type StatusAnswer,
  type StatusDetails,
  type StatusOrder,
  statusAnswer,
  statusJson,
} from './kube-status.ts'
export {
  contentLengthOf,
  findForbiddenHeader,
  findIdentityHeader,
  requestHeadersFor,
} from './request-headers.ts'
export {
  framingFor,
  lastChunk,
  type OutgoingRequest,
  type RequestFraming,
  writeChunk,
  writeRequestHead,
} from './request-writer.ts'
export {
  endToEndHeaders,
  isForwardingRedirect,
  responseHeadersFor,
  switchingHeadersFor,
} from './response-headers.ts'
export {
  createResponseReader,
  HttpSyntaxError,
  type ResponseReader,
  type ResponseReceiver,
} from './response-reader.ts'
export { type WantedUpgrade, wantedUpgrade } from './upgrade.ts'
