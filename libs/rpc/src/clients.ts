import type { Client, CompatServiceDefinition } from 'nice-grpc'

/** The services that others call. */
export type ServiceName = 'identity' | 'policy' | 'session' | 'tunnel-broker' | 'audit'

/** Per call: a deadline, and the end user's token where the console acts for a user. */
export type CallSettings = { deadlineMs?: number; userToken?: string }

/** One connection per service, made at first use; the other side's SPIFFE ID is checked. */
export type RpcClients = {
  /** Calls time out after 5 s unless the call says otherwise; idempotent ones are retried. */
  of<Definition extends CompatServiceDefinition>(
    definition: Definition,
    service: ServiceName,
  ): Client<Definition, CallSettings>
  close(): void
}
