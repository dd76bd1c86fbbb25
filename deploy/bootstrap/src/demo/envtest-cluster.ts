import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type BareKube, startBareKube } from '@postern/local-servers'
import { createWebCertificate } from '@postern/pki'
import { environment } from '../config.ts'
import { findPort } from '../platform/ports.ts'

const CERTIFICATE_LIFE_DAYS = 365

/** The kube-apiserver and the etcd of KUBEBUILDER_ASSETS: a real API, in which no pods run. */
export async function startEnvtestCluster(dir: string): Promise<BareKube> {
  const { kubebuilderAssets: assets } = environment
  if (assets === undefined) throw new Error('KUBEBUILDER_ASSETS is not set')
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  return await startBareKube({
    dir,
    assets,
    ports: await portsIn(join(dir, 'ports.json')),
    createCertificate: () =>
      createWebCertificate({
        dnsNames: ['localhost'],
        ipAddresses: ['127.0.0.1'],
        now: new Date(),
        lifeDays: CERTIFICATE_LIFE_DAYS,
      }),
  })
}

/** The API's port stands in the kubeconfig, and etcd keeps that of its peers. */
async function portsIn(file: string): Promise<{ api: number; etcd: number; etcdPeer: number }> {
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'))
  const ports = { api: await findPort(), etcd: await findPort(), etcdPeer: await findPort() }
  writeFileSync(file, JSON.stringify(ports))
  return ports
}
