import { processEnvironment } from '@postern/config'
import { startTelemetry } from '@postern/telemetry'

await startTelemetry(processEnvironment(), 'postern-audit')
