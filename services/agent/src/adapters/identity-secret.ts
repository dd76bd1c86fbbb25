import { parseTlsMaterial } from '@postern/pki'
import type { Log } from '@postern/telemetry'
import { z } from 'zod'
import type { StoredIdentity } from '../identity/stored-identity.ts'
import { type KubeClient, KubeError } from './kube-client.ts'

/** The Secret in which the agents of a cluster keep their certificate. */
export type IdentitySecret = {
  read(): Promise<StoredIdentity | undefined>
  /** Writes it, or answers what another agent has written meanwhile: the first one wins. */
  write(identity: StoredIdentity): Promise<StoredIdentity>
}

const NAME = 'postern-agent-identity'

const base64 = z.string().transform((text) => Buffer.from(text, 'base64').toString('utf8'))
const secret = z.object({
  metadata: z.object({ resourceVersion: z.string() }),
  data: z.object({
    'tls.crt': base64,
    'tls.key': base64,
    'ca.crt': base64,
    'join-token-sha256': base64,
    relays: base64,
  }),
})
const anySecret = z.object({ metadata: z.object({ resourceVersion: z.string() }) })

export function createIdentitySecret(needs: {
  readonly kube: KubeClient
  readonly namespace: string
  readonly log: Log
}): IdentitySecret {
  const { kube, namespace, log } = needs
  const collection = `/api/v1/namespaces/${namespace}/secrets`
  /** Of what was read last: somebody else's write in between makes ours fail. */
  let resourceVersion: string | undefined

  async function read(): Promise<StoredIdentity | undefined> {
    const found = await kube.request('GET', `${collection}/${NAME}`).catch((error: unknown) => {
      if (error instanceof KubeError && error.status === 404) return undefined
      throw error
    })
    resourceVersion = anySecret.safeParse(found).data?.metadata.resourceVersion
    if (found === undefined) return undefined
    const parsed = secret.safeParse(found)
    return parsed.success ? toIdentity(parsed.data.data, log) : undefined
  }

  return {
    read,
    async write(identity) {
      const body = toSecret(identity, namespace, resourceVersion)
      try {
        const written =
          resourceVersion === undefined
            ? await kube.request('POST', collection, body)
            : await kube.request('PUT', `${collection}/${NAME}`, body)
        resourceVersion = anySecret.parse(written).metadata.resourceVersion
        return identity
      } catch (error) {
        if (!(error instanceof KubeError) || error.status !== 409) throw error
        const theirs = await read()
        if (theirs === undefined) throw new Error(`the Secret ${NAME} holds no certificate`)
        return theirs
      }
    },
  }
}

function toSecret(identity: StoredIdentity, namespace: string, resourceVersion?: string): object {
  const { material, joinTokenSha256, relays } = identity
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      name: NAME,
      namespace,
      labels: { 'app.kubernetes.io/part-of': 'postern' },
      ...(resourceVersion === undefined ? {} : { resourceVersion }),
    },
    stringData: {
      'tls.crt': material.cert,
      'tls.key': material.key,
      'ca.crt': material.ca,
      'join-token-sha256': joinTokenSha256,
      relays: relays.join(','),
    },
  }
}

function toIdentity(data: z.output<typeof secret>['data'], log: Log): StoredIdentity | undefined {
  try {
    const { 'tls.crt': cert, 'tls.key': key, 'ca.crt': ca } = data
    return {
      material: parseTlsMaterial({ cert, key, ca }),
      joinTokenSha256: data['join-token-sha256'],
      relays: data.relays.split(',').filter((address) => address !== ''),
    }
  } catch (error) {
    log.warn({ err: error, secret: NAME }, 'stored certificate not usable')
    return undefined
  }
}
