import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { join } from 'node:path'
import { type Child, startChild, untilReady } from './child.ts'
import { endLeftover } from './leftover.ts'

const START_MS_MAX = 60_000
const PROBE_MS_MAX = 2_000

/** A kube-apiserver and an etcd: objects, accounts and tokens, but no controllers and no pods. */
export type BareKube = {
  readonly kubeconfig: string
  stop(): Promise<void>
}

/** What a web server shows, and the authority to check it with. PEM. */
type ServingCertificate = { readonly cert: string; readonly key: string; readonly ca: string }

/** Starts the two programs of a folder such as KUBEBUILDER_ASSETS, on data that is kept. */
export async function startBareKube(options: {
  dir: string
  assets: string
  ports: { readonly api: number; readonly etcd: number; readonly etcdPeer: number }
  /** For 127.0.0.1; asked once. */
  createCertificate: () => Promise<ServingCertificate>
}): Promise<BareKube> {
  const { dir, assets, ports } = options
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const files = await prepareFiles(dir, ports.api, options.createCertificate)
  const start = async (name: string, args: readonly string[]) => {
    const pidFile = join(dir, `${name}.pid`)
    await endLeftover({ pidFile, folder: dir })
    const logFile = join(dir, `${name}.log`)
    return startChild({ command: join(assets, name), args, logFile, pidFile, cwd: dir })
  }
  const etcd = await start('etcd', etcdArguments(dir, ports))
  let api: Child | undefined
  const stop = async () => {
    await api?.stop()
    await etcd.stop()
  }
  try {
    api = await start('kube-apiserver', apiArguments(dir, ports, files))
    await untilReady('kube-apiserver', api, START_MS_MAX, () => answers(ports.api, files))
    return { kubeconfig: files.kubeconfig, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

type Files = Awaited<ReturnType<typeof prepareFiles>>

async function prepareFiles(
  dir: string,
  port: number,
  createCertificate: () => Promise<ServingCertificate>,
) {
  const at = (name: string) => join(dir, name)
  const write = (name: string, text: string) => writeFileSync(at(name), text, { mode: 0o600 })
  if (!existsSync(at('kubeconfig'))) {
    const { cert, key, ca } = await createCertificate()
    write('serving.crt', cert)
    write('serving.key', key)
    write('ca.crt', ca)
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    write('accounts.key', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    write('accounts.pub', publicKey.export({ type: 'spki', format: 'pem' }).toString())
    const adminToken = randomBytes(32).toString('base64url')
    write('tokens.csv', `${adminToken},admin,admin,"system:masters"\n`)
    write('kubeconfig', JSON.stringify(kubeconfigOf({ port, ca, token: adminToken }), undefined, 2))
  }
  const [token = ''] = readFileSync(at('tokens.csv'), 'utf8').split(',')
  return { at, token, kubeconfig: at('kubeconfig'), ca: readFileSync(at('ca.crt'), 'utf8') }
}

function kubeconfigOf({ port, ca, token }: { port: number; ca: string; token: string }) {
  const data = Buffer.from(ca).toString('base64')
  const cluster = { server: `https://127.0.0.1:${port}`, 'certificate-authority-data': data }
  return {
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'bare',
    clusters: [{ name: 'bare', cluster }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'bare', context: { cluster: 'bare', user: 'admin' } }],
  }
}

function etcdArguments(dir: string, ports: { etcd: number; etcdPeer: number }): string[] {
  const client = `http://127.0.0.1:${ports.etcd}`
  const peer = `http://127.0.0.1:${ports.etcdPeer}`
  return [
    `--data-dir=${join(dir, 'etcd')}`,
    `--listen-client-urls=${client}`,
    `--advertise-client-urls=${client}`,
    `--listen-peer-urls=${peer}`,
    `--initial-advertise-peer-urls=${peer}`,
    `--initial-cluster=default=${peer}`,
  ]
}

function apiArguments(dir: string, ports: { api: number; etcd: number }, { at }: Files): string[] {
  return [
    `--etcd-servers=http://127.0.0.1:${ports.etcd}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    `--secure-port=${ports.api}`,
    `--cert-dir=${dir}`,
    `--tls-cert-file=${at('serving.crt')}`,
    `--tls-private-key-file=${at('serving.key')}`,
    `--token-auth-file=${at('tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${at('accounts.pub')}`,
    `--service-account-signing-key-file=${at('accounts.key')}`,
    '--service-cluster-ip-range=10.0.0.0/24',
    // Nobody makes the default account of a namespace here, without which no pod could be made.
    '--disable-admission-plugins=ServiceAccount',
  ]
}

async function answers(port: number, { ca, token }: Files): Promise<void> {
  const status = await new Promise<number>((resolve, reject) => {
    const sent = request(`https://127.0.0.1:${port}/readyz`, {
      ca,
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(PROBE_MS_MAX),
    })
    sent.on('error', reject)
    sent.on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
    sent.end()
  })
  if (status !== 200) throw new Error(`kube-apiserver is not ready: ${status}`)
}
