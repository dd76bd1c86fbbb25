import { ClientError, Status } from 'nice-grpc-common'

/** What a caller gets of a server that is of an earlier release than the RPC. */
export function unknownRpcError(path: string): ClientError {
  return new ClientError(path, Status.UNIMPLEMENTED, 'the server does not implement this method')
}
