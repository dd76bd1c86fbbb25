import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { Rejection } from '@postern/errors'
import { newId } from '@postern/ids'
import {
  certificatesFromPem,
  createCsr,
  createIntermediate,
  createRoot,
  openIssuer,
  type StaticTlsIdentity,
  signAs,
  staticTlsIdentity,
  toTlsMaterial,
} from '@postern/pki'
import {
  AccountOrder,
  AgentSessionServiceDefinition,
  type ReportAccountRequest,
  type SignedAccountOrder,
} from '@postern/proto/postern/session/v1/session'
import {
  AgentServiceDefinition,
  type ReportStatusRequest,
} from '@postern/proto/postern/tunnelbroker/v1/cluster'
import { createRpcServer, type RpcServer, register } from '@postern/rpc'
import { createMetrics } from '@postern/telemetry'
import { createSilentLog } from '@postern/telemetry/testing'
import { createClientHelloReader, toRoute } from '@postern/tunnel'

export const TRUST_DOMAIN = 'test.internal'

/** An installation's authority that signs what agents ask for. */
export async function createAuthority() {
  const now = new Date()
  const root = await createRoot({ name: 'root', now, lifeSeconds: 86_400 })
  const order = { name: 'intermediate', now, lifeSeconds: 80_000, root }
  const issuer = await openIssuer(await createIntermediate(order))
  const roots = certificatesFromPem(root.cert)
  const issue = async (path: string, csr: Uint8Array, lifeSeconds = 3600) => {
    const spiffeId = `spiffe://${TRUST_DOMAIN}/${path}`
    const leaf = await issuer.issueLeaf({
      csr,
      spiffeId,
      dnsNames: [],
      now: new Date(),
      lifeSeconds,
    })
    return { chain: leaf.chain, roots }
  }
  const identity = async (path: string): Promise<StaticTlsIdentity> => {
    const { csr, key } = await createCsr()
    return staticTlsIdentity(toTlsMaterial({ ...(await issue(path, csr)), key }))
  }
  return { ca: root.cert, issue, identity }
}

export type Authority = Awaited<ReturnType<typeof createAuthority>>

/** Session and tunnel-broker as an agent sees them, behind a relay that splices by server name. */
export async function startControlPlane(authority: Authority, clusterId: string) {
  const sessionIdentity = await authority.identity('service/session')
  const reports: ReportAccountRequest[] = []
  const statuses: ReportStatusRequest[] = []
  const orders: SignedAccountOrder[] = []
  const joinTokens = new Set<string>()
  const removed = new AbortController()
  let joins = 0
  let changed: () => void = () => {}

  const untilRemoved = () => {
    if (removed.signal.aborted) {
      throw new Rejection('AGENT_REMOVED', 'permission_denied', 'this agent was removed')
    }
  }
  const session = register(AgentSessionServiceDefinition, {
    async *watchAccounts(_request, { call }) {
      untilRemoved()
      let sent = 0
      for (let first = true; !call.signal.aborted; first = false) {
        const more = orders.slice(sent)
        sent += more.length
        for (const value of more) yield { message: { $case: 'order', value } }
        if (first) yield { message: { $case: 'synced', value: true } }
        await new Promise<void>((resolve) => {
          changed = resolve
          call.signal.addEventListener('abort', () => resolve(), { once: true })
          if (orders.length > sent) resolve()
        })
      }
    },
    reportAccount(request) {
      reports.push(request)
      return Promise.resolve({})
    },
  })
  const broker = register(AgentServiceDefinition, {
    async join({ joinToken, csr }) {
      if (!joinTokens.delete(joinToken)) {
        throw new Rejection('JOIN_TOKEN_INVALID', 'permission_denied', 'used or unknown')
      }
      joins += 1
      const agentId = newId('agent')
      return {
        ...(await authority.issue(`agent/${clusterId}/${agentId}`, csr)),
        clusterId,
        agentId,
      }
    },
    async renew({ csr }, { call }) {
      untilRemoved()
      return await authority.issue(`agent/${clusterId}/${call.peer.id}`, csr)
    },
    async *watchConfiguration(_request, { call }) {
      untilRemoved()
      yield { clusterName: 'test', relayAddresses: [relay.address] }
      await once(AbortSignal.any([call.signal, removed.signal]), 'abort')
      untilRemoved()
    },
    async reportStatus(request) {
      untilRemoved()
      statuses.push(request)
      return {}
    },
  })

  const serve = (identity: StaticTlsIdentity, clientCertificates: 'required' | 'none') =>
    createRpcServer({
      identity,
      trustDomain: TRUST_DOMAIN,
      listen: '127.0.0.1:0',
      registrations: identity === sessionIdentity ? [session] : [broker],
      authenticateUser: () => Promise.resolve(undefined),
      clientCertificates,
      log: createSilentLog(),
      metrics: createMetrics('test'),
    })
  const brokerIdentity = await authority.identity('service/tunnel-broker')
  const servers = await Promise.all([
    serve(sessionIdentity, 'required'),
    serve(brokerIdentity, 'required'),
    serve(brokerIdentity, 'none'),
  ])
  const relay = await startSplicer(servers)

  return {
    relay,
    reports,
    statuses,
    joinTokens,
    get joins() {
      return joins
    },
    /** Orders as the session service would: signed by itself, or by whoever is given. */
    async order(order: AccountOrder, signer: StaticTlsIdentity = sessionIdentity) {
      this.send(signed(order, signer))
    },
    send(order: SignedAccountOrder) {
      orders.push(order)
      changed()
    },
    signed: (order: AccountOrder) => signed(order, sessionIdentity),
    /** From now on neither tunnel-broker nor the session service knows of an agent here. */
    removeAgents() {
      removed.abort()
    },
    forgetOrders() {
      orders.length = 0
    },
    async close() {
      relay.close()
      await Promise.all(servers.map((server) => server.close(100)))
    },
  }
}

export function signed(order: AccountOrder, signer: StaticTlsIdentity): SignedAccountOrder {
  const data = Buffer.from(AccountOrder.encode(order).finish())
  const { signature, chain } = signAs(signer.current(), data)
  return { order: data, signature: Buffer.from(signature), chain }
}

/** The part of a relay that carries an agent to the control plane. */
async function startSplicer([session, broker, join]: readonly RpcServer[]) {
  const ports = { session: session?.port, 'tunnel-broker': broker?.port, join: join?.port }
  const sockets = new Set<Socket>()
  const server = createServer((client) => {
    sockets.add(client)
    client.on('error', () => {})
    const reader = createClientHelloReader()
    const onData = (chunk: Buffer) => {
      const hello = reader.push(chunk)
      if (hello.status === 'more') return
      client.removeListener('data', onData)
      const route = hello.status === 'hello' ? toRoute(hello.serverName, TRUST_DOMAIN) : undefined
      const port = route?.to === 'service' ? ports[route.service] : undefined
      if (hello.status !== 'hello' || port === undefined) {
        client.destroy()
        return
      }
      const upstream = connect(port, '127.0.0.1')
      sockets.add(upstream)
      upstream.on('error', () => {})
      upstream.on('close', () => client.destroy())
      client.on('close', () => upstream.destroy())
      upstream.write(hello.bytes)
      client.pipe(upstream).pipe(client)
    }
    client.on('data', onData)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const cut = () => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  return {
    address: `127.0.0.1:${port}`,
    /** Breaks every connection through it. */
    cut,
    close() {
      server.close()
      cut()
    },
  }
}
