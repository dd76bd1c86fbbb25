import { defineService } from '@postern/service'
import { composeAudit, rebuildAudit } from './compose.ts'
import { type AuditConfig, auditSettings } from './config.ts'
import type { AuditDatabase } from './database.ts'
import { migrations } from './migrations/index.ts'
import type { ProducerEvent } from './producer/producer.ts'
import { producerCodec } from './producer/producer-codec.ts'
import { producers } from './producer/producers-projection.ts'

/** The tamper-evident log of all that was asked, what became of it, and who may look at it. */
export const auditService = defineService<AuditConfig, AuditDatabase, ProducerEvent>({
  name: 'audit',
  settings: auditSettings,
  log: { codec: producerCodec, projections: [producers], migrations },
  compose: composeAudit,
  rebuildOwn: rebuildAudit,
})
