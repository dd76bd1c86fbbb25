import { type ChannelCredentials, Client, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { REASON } from '../status.ts'

/** How one call with an empty request ended, whatever its messages are. */
export type RawAnswer = {
  readonly code: string
  readonly reason: string | undefined
  readonly message: string
}

const DEADLINE_MS = 5_000

/** Calls by path, without knowing the messages. The first answer of a stream counts as OK. */
export async function rawCall(order: {
  readonly address: string
  readonly credentials: ChannelCredentials
  readonly serverName: string
  readonly path: string
  readonly serverStreams: boolean
  readonly metadata?: Readonly<Record<string, string>>
}): Promise<RawAnswer> {
  const client = new Client(order.address, order.credentials, {
    'grpc.ssl_target_name_override': order.serverName,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_http_proxy': 0,
  })
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(order.metadata ?? {})) metadata.set(name, value)
  try {
    return order.serverStreams
      ? await streamCall(client, order.path, metadata)
      : await unaryCall(client, order.path, metadata)
  } finally {
    client.close()
  }
}

const bytes = (value: Buffer) => value
const OK: RawAnswer = { code: 'OK', reason: undefined, message: '' }

async function unaryCall(client: Client, path: string, metadata: Metadata): Promise<RawAnswer> {
  return await new Promise((resolve) => {
    const deadline = Date.now() + DEADLINE_MS
    client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), metadata, { deadline }, (error) =>
      resolve(error === null ? OK : toAnswer(error)),
    )
  })
}

async function streamCall(client: Client, path: string, metadata: Metadata): Promise<RawAnswer> {
  return await new Promise((resolve) => {
    const deadline = Date.now() + DEADLINE_MS
    const stream = client.makeServerStreamRequest(path, bytes, bytes, Buffer.alloc(0), metadata, {
      deadline,
    })
    stream.on('error', (error: ServiceError) => resolve(toAnswer(error)))
    stream.on('end', () => resolve(OK))
    stream.on('data', () => {
      resolve(OK)
      stream.cancel()
    })
  })
}

function toAnswer(error: ServiceError): RawAnswer {
  const [reason] = error.metadata.get(REASON)
  return {
    code: status[error.code] ?? 'UNKNOWN',
    reason: reason?.toString(),
    message: error.details,
  }
}
