import type { RpcServer, RpcServerNeeds } from './rpc-server.ts'

/**
 * Serves the registrations with mutual TLS 1.3, health and reflection. What a server needs is loaded
 * here: a part that only calls others does without the descriptors of all RPCs.
 *
 * @throws Error when an RPC declares no access, or the address cannot be listened on
 */
export async function createRpcServer(needs: RpcServerNeeds): Promise<RpcServer> {
  const { startRpcServer } = await import('./rpc-server.ts')
  return await startRpcServer(needs)
}
