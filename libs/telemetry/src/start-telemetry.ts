import { trace } from '@opentelemetry/api'

/**
 * Starts OpenTelemetry when, and only when, the installation's owner configured where to send it
 * (`OTEL_EXPORTER_OTLP_ENDPOINT` and its variants); everything else is the SDK's own environment.
 * Answers a function that flushes and stops, or `undefined` when nothing was configured. The SDK is
 * loaded only then: it costs memory that a service without telemetry must not pay. `service` is the name
 * in the traces, unless the environment has another.
 */
export async function startTelemetry(
  env: Readonly<Record<string, string | undefined>>,
  service: string,
): Promise<(() => Promise<void>) | undefined> {
  if (!isConfigured(env)) return undefined
  const { NodeSDK } = await import('@opentelemetry/sdk-node')
  const { OTEL_SERVICE_NAME: serviceName = service } = env
  const sdk = new NodeSDK({ instrumentations: [], serviceName })
  sdk.start()
  return () => sdk.shutdown()
}

function isConfigured(env: Readonly<Record<string, string | undefined>>): boolean {
  const { OTEL_SDK_DISABLED: disabled } = env
  if (disabled === 'true') return false
  const names = ['OTEL_EXPORTER_OTLP_ENDPOINT', 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT']
  return names.some((name) => (env[name] ?? '') !== '')
}

/** Sends what was traced and not sent yet; for the end of a process. */
export async function flushTelemetry(): Promise<void> {
  const provider: unknown = trace.getTracerProvider()
  // The API answers a proxy of what the SDK registered.
  const started = isProxy(provider) ? provider.getDelegate() : provider
  if (canFlush(started)) await started.forceFlush()
}

function isProxy(provider: unknown): provider is { getDelegate(): unknown } {
  return hasMethod(provider, 'getDelegate')
}

function canFlush(provider: unknown): provider is { forceFlush(): Promise<void> } {
  return hasMethod(provider, 'forceFlush')
}

function hasMethod(value: unknown, name: string): boolean {
  return (
    typeof value === 'object' && value !== null && typeof Reflect.get(value, name) === 'function'
  )
}
