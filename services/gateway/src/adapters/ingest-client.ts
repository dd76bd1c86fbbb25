import { IngestServiceDefinition } from '@postern/proto/postern/audit/v1/audit'
import type { RpcClients } from '@postern/rpc'
import type { Ingest } from '../audit/ship.ts'

const DEADLINE_MS = 15_000

/** The sequencer of the audit service. */
export function createIngestClient(clients: RpcClients): Ingest {
  const service = clients.of(IngestServiceDefinition, 'audit')
  return {
    async append({ spoolId, first, records }) {
      const request = { spoolId, first, records: [...records] }
      const { stored } = await service.appendRecords(request, { deadlineMs: DEADLINE_MS })
      return { stored }
    },
  }
}
