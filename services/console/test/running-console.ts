import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { Agent, request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type DetailedPeerCertificate } from 'node:tls'
import { freePort } from '@postern/fixtures'
import { createWebCertificate, writeIdentityFiles } from '@postern/pki'
import { createTestAuthority } from '@postern/pki/testing'
import { runService } from '@postern/service'
import { createMemoryLog } from '@postern/telemetry/testing'
import { consoleService } from '../src/index.ts'
import { startFakeServices } from './fake-services.ts'

export type Answer = { status: number; headers: IncomingHttpHeaders; text: string; json: unknown }

export type Ask = {
  readonly token?: string
  readonly body?: string | object
  /** In pairs, as they go out: a name may come twice. */
  readonly headers?: readonly string[]
}

const webCertificate = async () =>
  await createWebCertificate({
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
    now: new Date(),
    lifeDays: 1,
  })

/** The console on a real HTTPS port, before fake services with real servers. */
export async function runConsole(settings: Readonly<Record<string, string>> = {}) {
  const log = createMemoryLog()
  const authority = await createTestAuthority()
  const services = await startFakeServices(authority)
  const dir = await mkdtemp(join(tmpdir(), 'postern-console-'))
  const certFile = join(dir, 'web.crt')
  const keyFile = join(dir, 'web.key')
  const caFile = join(dir, 'gateway-ca.crt')
  const useCertificate = async (pair: { cert: string; key: string }) => {
    await writeFile(certFile, pair.cert)
    await writeFile(keyFile, pair.key)
  }
  const first = await webCertificate()
  await useCertificate(first)
  await writeFile(caFile, first.ca)
  await writeIdentityFiles(dir, await authority.material('service/console'))
  const port = await freePort()
  const running = await runService(
    consoleService,
    {
      POSTERN_TRUST_DOMAIN: authority.trustDomain,
      POSTERN_IDENTITY_ADDRESS: services.address('identity'),
      POSTERN_POLICY_ADDRESS: services.address('policy'),
      POSTERN_SESSION_ADDRESS: services.address('session'),
      POSTERN_TUNNEL_BROKER_ADDRESS: services.address('tunnel-broker'),
      POSTERN_AUDIT_ADDRESS: services.address('audit'),
      POSTERN_CONSOLE_TLS_DIR: dir,
      POSTERN_CONSOLE_PUBLIC_LISTEN: `127.0.0.1:${port}`,
      POSTERN_CONSOLE_TLS_CERT_FILE: certFile,
      POSTERN_CONSOLE_TLS_KEY_FILE: keyFile,
      POSTERN_CONSOLE_GATEWAY_URL: 'https://gateway.example.com:8443',
      POSTERN_CONSOLE_GATEWAY_CA_FILE: caFile,
      ...settings,
    },
    { log },
  )
  const agent = new Agent({ ca: first.ca, keepAlive: true })
  let isStopped = false
  const stopService = async () => {
    isStopped = true
    await running.stop()
  }

  return {
    port,
    log,
    services,
    ca: first.ca,
    stopService,

    async ask(method: string, path: string, { token, body, headers }: Ask = {}): Promise<Answer> {
      const sent = typeof body === 'object' ? JSON.stringify(body) : body
      const lines = [...(headers ?? [])]
      if (token !== undefined) lines.push('Authorization', `Bearer ${token}`)
      if (sent !== undefined) {
        if (!lines.some((line) => line.toLowerCase() === 'content-type')) {
          lines.push('Content-Type', 'application/json')
        }
        lines.push('Content-Length', String(Buffer.byteLength(sent)))
      }
      // Given as lines, so that nothing joins or corrects them.
      lines.push('Host', `127.0.0.1:${port}`)
      return await new Promise((resolve, reject) => {
        const going = request(
          { host: '127.0.0.1', port, method, path, agent, headers: lines },
          (response) => {
            const chunks: Buffer[] = []
            response.on('data', (chunk: Buffer) => chunks.push(chunk))
            response.on('error', reject)
            response.on('end', () => {
              const text = Buffer.concat(chunks).toString()
              const { headers: got, statusCode: status = 0 } = response
              resolve({ status, headers: got, text, json: jsonOrNothing(text) })
            })
          },
        )
        going.on('error', reject)
        going.end(sent)
      })
    },

    /** Says something that need not be HTTP, and answers what comes back until the end. */
    async say(text: string): Promise<string> {
      return await new Promise((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, ca: first.ca }, () => socket.write(text))
        const chunks: Buffer[] = []
        socket.on('data', (chunk) => chunks.push(chunk))
        socket.on('error', reject)
        socket.on('close', () => resolve(Buffer.concat(chunks).toString()))
      })
    },

    useCertificate,
    newCertificate: webCertificate,
    /** Of the certificate that a new connection is shown. */
    async shownCertificate(): Promise<DetailedPeerCertificate> {
      return await new Promise((resolve, reject) => {
        const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
          resolve(socket.getPeerCertificate(true))
          socket.destroy()
        })
        socket.on('error', reject)
      })
    },

    async stop() {
      agent.destroy()
      if (!isStopped) await running.stop()
      await services.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

export type RunningConsole = Awaited<ReturnType<typeof runConsole>>

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
