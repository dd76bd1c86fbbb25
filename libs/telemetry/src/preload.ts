// Loaded before everything else: `node --import @postern/telemetry/preload`.
import { environment } from './config.ts'
import { startTelemetry } from './start-telemetry.ts'

const stop = await startTelemetry(environment(), 'postern')
if (stop !== undefined) process.once('beforeExit', () => void stop())
