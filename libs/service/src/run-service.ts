import type { Bus } from '@postern/bus'
import type { Environment } from '@postern/config'
import type { DomainEvent, EventLog } from '@postern/eventing'
import { type ClosingStack, createClosingStack, createHealthServer } from '@postern/lifecycle'
import {
  createRpcClients,
  createRpcServer,
  endUserAuthenticator,
  type RpcClients,
} from '@postern/rpc'
import { createLog, createMetrics, type Log, type Metrics } from '@postern/telemetry'
import type { Composed, Runtime, ServiceDefinition } from './definition.ts'
import { openIdentity } from './open-identity.ts'
import type { openLog } from './open-log.ts'
import { prefixOf, readSettings, type Settings } from './settings.ts'

const STOP_MS = 10_000

export type RunOptions = {
  /** Where it logs. Standard output when absent. */
  readonly log?: Log
  readonly now?: () => Date
  /** Adds the process's own CPU and memory to /metrics; once per process. */
  readonly processMetrics?: boolean
}

export type RunningService = {
  /** "host:port" as they really listen. */
  readonly addresses: { readonly grpc?: string; readonly http: string }
  /** Why it cannot do its work now; `undefined` when it can. */
  ready(): Promise<string | undefined>
  /** Lets calls finish, then closes everything in reverse. Never rejects. */
  stop(): Promise<void>
}

/**
 * Starts a service with an environment; several may run in one process.
 * @throws Error when it cannot start; everything that was opened is closed then
 */
export async function runService<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
  env: Environment,
  options: RunOptions = {},
): Promise<RunningService> {
  const settings = readSettings(definition, env)
  const { name } = definition
  const log = options.log ?? createLog({ name, level: settings.shared.logLevel })
  const stack = createClosingStack({ log })
  try {
    return await start(definition, settings, { ...options, log, stack })
  } catch (cause) {
    await stack.close()
    throw new Error(`${name} cannot start`, { cause })
  }
}

type Start = RunOptions & { readonly log: Log; readonly stack: ClosingStack }

async function start<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
  settings: Settings<Config>,
  options: Start,
): Promise<RunningService> {
  const { name } = definition
  const { trustDomain } = settings.shared
  const { addresses } = settings
  const { log, stack, now = () => new Date(), processMetrics = false } = options
  const metrics = createMetrics(name, { ofProcess: processMetrics })
  let waitingFor: string | undefined = 'starting'
  let composed: Composed | undefined
  let eventLog: EventLog<Database, Event> | undefined

  const health = await createHealthServer({
    listen: settings.standard.httpListen,
    ready: {
      start: async () => waitingFor,
      log: async () => await eventLog?.ready(),
      service: async () => await composed?.ready?.(),
    },
    metrics,
    log,
  })
  stack.defer('health server', () => health.close())

  let clients: RpcClients | undefined
  const clientsLater = () => {
    if (clients === undefined) throw new Error('a certificate is renewed before the clients exist')
    return clients
  }
  const identity = await openIdentity(definition, settings, { log, now, clients: clientsLater })
  stack.defer('certificate renewal', () => identity.close())
  clients = createRpcClients({ identity, trustDomain, addresses, log })
  const opened = clients
  stack.defer('rpc clients', () => opened.close())

  const { natsUrl } = settings.shared
  const bus =
    definition.log === undefined || natsUrl === undefined
      ? missing<Bus>(`${name} owns no log: it is not on the bus`)
      : await openBus(natsUrl.reveal(), { name, log, metrics, stack })
  eventLog = await openOwnLog(definition, settings, { bus, log, metrics, now })
  const owned = eventLog
  stack.defer('event log', () => owned?.stop())

  const runtime = runtimeOf(name, eventLog, {
    config: settings.own,
    trustDomain,
    addresses,
    bus,
    identity,
    clients,
    log,
    metrics,
    now,
  })
  const parts = await definition.compose(runtime)
  composed = parts
  // The RPC server is closed before: nobody calls into what has stopped.
  stack.defer(name, () => parts.stop?.(), stopMsMax(definition, settings.own))

  const registrations = [...parts.rpc, ...(eventLog === undefined ? [] : [eventLog.registration])]
  const grpc =
    registrations.length === 0
      ? undefined
      : await createRpcServer({
          identity,
          trustDomain,
          listen: listenOf(name, settings),
          registrations,
          authenticateUser: parts.authenticateUser ?? authenticatorOf(settings, clients),
          clientCertificates: 'required',
          log,
          metrics,
          now,
        })
  if (grpc !== undefined) stack.defer('rpc server', () => grpc.close())

  await eventLog?.start()
  await parts.start?.()
  stack.defer('readiness', () => {
    waitingFor = 'stopping'
    grpc?.setHealthy(false)
  })
  waitingFor = undefined
  const real = { http: health.address, ...(grpc === undefined ? {} : { grpc: grpc.address }) }
  log.info({ ...real, spiffeId: identity.spiffeId }, 'started')

  return {
    addresses: real,
    ready: async () => waitingFor ?? (await eventLog?.ready()) ?? (await parts.ready?.()),
    stop: () => stack.close(),
  }
}

/** For the service's own stop: what runs may end, and the rest is put away. */
export function stopMsMax<Config, Database, Event extends DomainEvent>(
  { drainSeconds }: ServiceDefinition<Config, Database, Event>,
  config: Config,
): number {
  return STOP_MS + (drainSeconds?.(config) ?? 0) * 1000
}

// The clients of PostgreSQL and of the bus take MiB each: loaded where they are used.

async function openOwnLog<Config, Database, Event extends DomainEvent>(
  definition: ServiceDefinition<Config, Database, Event>,
  settings: Settings<Config>,
  needs: Parameters<typeof openLog>[2],
): Promise<EventLog<Database, Event> | undefined> {
  if (definition.log === undefined) return undefined
  const { openLog: open } = await import('./open-log.ts')
  return await open(definition, settings, needs)
}

async function openBus(
  url: string,
  needs: { name: string; log: Log; metrics: Metrics; stack: ClosingStack },
): Promise<Bus> {
  const { name, log, metrics, stack } = needs
  const { connectBus } = await import('@postern/bus')
  const bus = connectBus({ url, name, log, metrics })
  stack.defer('bus', () => bus.close())
  return bus
}

function authenticatorOf<Config>({ addresses }: Settings<Config>, clients: RpcClients) {
  if (addresses.identity !== undefined) return endUserAuthenticator(clients)
  return async () => {
    throw new Error('POSTERN_IDENTITY_ADDRESS must be set to serve users')
  }
}

function runtimeOf<Config, Database, Event extends DomainEvent>(
  name: string,
  eventLog: EventLog<Database, Event> | undefined,
  rest: Omit<Runtime<Config, Database, Event>, 'db' | 'store' | 'eventLog'>,
): Runtime<Config, Database, Event> {
  const owned = eventLog ?? missing<EventLog<Database, Event>>(`${name} owns no log`)
  return {
    ...rest,
    get db() {
      return owned.db
    },
    get store() {
      return owned.store
    },
    eventLog: owned,
  }
}

/** Stands for what is not there: whoever reaches for it is told. */
function missing<T extends object>(message: string): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing can be read from it
  return new Proxy({} as T, {
    get() {
      throw new Error(message)
    },
  })
}

function listenOf<Config>(name: string, { standard }: Settings<Config>): string {
  if (standard.listen === undefined) throw new Error(`${prefixOf(name)}LISTEN must be set`)
  return standard.listen
}
