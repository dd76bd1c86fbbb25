import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { startChild, untilReady } from './child.ts'
import { findGo } from './find-program.ts'
import { endLeftover } from './leftover.ts'

const START_MS_MAX = 90_000
const BUILD_MS_MAX = 30 * 60_000
/** The kubelet's unix sockets lie below it, and their names have a limit of the operating system. */
const DIR_LENGTH_MAX = 60

/** A Kubernetes cluster of our own: etcd, kube-apiserver, controllers and a node, on 127.0.0.1. */
export type KubeCluster = {
  readonly kubeconfig: string
  readonly server: string
  readonly ca: string
  /** With it a test signs client certificates of users of its own. */
  readonly caKey: string
  readonly auditLog: string
  readonly pid: number
  stop(): Promise<void>
}

export type KubeClusterPrograms = {
  readonly testcluster: string
  readonly kubectl: string
  readonly origin: string
}

/**
 * Builds the cluster's one executable, or takes it from the tools folder where one of the same
 * sources lies. The first build takes some minutes.
 *
 * @throws Error that says what is missing and how to get it
 */
export async function buildKubeCluster(options: {
  sourceDir: string
  toolsDir: string
  path: string | undefined
}): Promise<KubeClusterPrograms> {
  const go = findGo(options.path)
  if (go === undefined) {
    throw new Error(
      'a demo cluster needs Go (https://go.dev/dl) to build one; or give the kubeconfig of a cluster of yours, or leave it out (--no-cluster)',
    )
  }
  const hash = createHash('sha256')
  for (const name of readdirSync(options.sourceDir)
    .filter((file) => /\.(go|mod|sum|sh)$/.test(file))
    .sort()) {
    hash.update(name).update(readFileSync(join(options.sourceDir, name)))
  }
  const version = await promisify(execFile)(go, ['env', 'GOVERSION'])
  const dir = join(
    options.toolsDir,
    `testcluster-${hash.update(version.stdout).digest('hex').slice(0, 16)}`,
  )
  const programs = { testcluster: join(dir, 'testcluster'), kubectl: join(dir, 'kubectl') }
  if (existsSync(programs.kubectl)) return { ...programs, origin: 'tools folder' }
  const building = `${dir}.${process.pid}`
  mkdirSync(building, { recursive: true })
  await promisify(execFile)('sh', ['build.sh', building], {
    cwd: options.sourceDir,
    timeout: BUILD_MS_MAX,
    maxBuffer: 1 << 26,
    // oxlint-disable-next-line node/no-process-env -- Go needs HOME and its own settings
    env: { ...process.env, PATH: `${options.path ?? ''}:/usr/local/go/bin` },
  })
  if (existsSync(programs.kubectl)) return { ...programs, origin: 'tools folder' }
  renameSync(building, dir)
  return { ...programs, origin: 'built with Go' }
}

/** Starts the cluster on a folder that it keeps: what was created is there at the next start. */
export async function startKubeCluster(options: {
  dir: string
  programs: KubeClusterPrograms
  port?: number
  /** Image name to the command line that a container of that image runs. */
  images?: Readonly<Record<string, readonly string[]>>
}): Promise<KubeCluster> {
  if (options.dir.length > DIR_LENGTH_MAX) {
    throw new Error(
      `a cluster's folder may have ${DIR_LENGTH_MAX} characters at most: ${options.dir}`,
    )
  }
  mkdirSync(options.dir, { recursive: true, mode: 0o700 })
  const readyFile = join(options.dir, 'ready.json')
  const logFile = join(options.dir, 'testcluster.log')
  const pidFile = join(options.dir, 'testcluster.pid')
  await endLeftover({ pidFile, folder: options.dir })
  writeFileSync(readyFile, '')
  writeFileSync(logFile, '')
  const images = Object.entries(options.images ?? {}).flatMap(([image, command]) => [
    '--image',
    `${image}=${JSON.stringify(command)}`,
  ])
  const child = startChild({
    command: options.programs.testcluster,
    args: [
      '--dir',
      options.dir,
      '--port',
      String(options.port ?? 0),
      '--ready-file',
      readyFile,
    ].concat(images),
    logFile,
    pidFile,
  })
  let ready: Omit<KubeCluster, 'stop'> | undefined
  await untilReady('the Kubernetes cluster', child, START_MS_MAX, async () => {
    ready = JSON.parse(readFileSync(readyFile, 'utf8'))
  })
  if (ready === undefined) throw new Error('the Kubernetes cluster did not say where it is')
  return { ...ready, stop: () => child.stop() }
}
