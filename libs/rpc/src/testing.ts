export { type CallAs, callAs, contextAs } from './testing/call-as.ts'
export { openDoors, type SweepAnswer, type SweepNeeds, sweepRpcs } from './testing/sweep-rpcs.ts'
export { unknownRpcError } from './testing/unknown-rpc.ts'
