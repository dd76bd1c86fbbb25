import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { commandOf, endLeftover } from '@postern/local-servers'

/** What `npm start` keeps in its folder. */
const KEPT = ['platform', 'cluster', 'outside', 'kubeconfig', 'kubectl', 'cli.json', 'postern.log']

/** How the command line of this program looks. */
const PROGRAM = 'bootstrap/src/start.ts'

export type DataFolder = {
  /** Lets the next run have it. */
  release(): void
}

/**
 * Takes the folder for this run: two would write over each other. Servers that a killed run left behind
 * are ended.
 *
 * @throws Error when another run has it
 */
export async function claimDataFolder(options: {
  dir: string
  /** Forgets what earlier runs kept there; nothing else is touched. */
  fresh: boolean
}): Promise<DataFolder> {
  const { dir, fresh } = options
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const file = join(dir, 'pid')
  if (existsSync(file)) {
    const former = Number(readFileSync(file, 'utf8'))
    // In a container a later run may well have the same id.
    if (former > 1 && former !== process.pid && commandOf(former).includes(PROGRAM)) {
      throw new Error(
        `Postern runs already on ${dir} (process ${former}): stop it with Ctrl-C there, or kill ${former}`,
      )
    }
    rmSync(file)
  }
  // Fails when another run began at the same moment.
  writeFileSync(file, String(process.pid), { flag: 'wx' })
  await endLeftovers(dir)
  if (fresh) for (const name of KEPT) rmSync(join(dir, name), { recursive: true, force: true })
  return { release: () => rmSync(file, { force: true }) }
}

async function endLeftovers(dir: string): Promise<void> {
  const postgres = join(dir, 'platform/postgres')
  const nats = join(dir, 'platform/nats')
  const cluster = join(dir, 'cluster')
  const outside = join(dir, 'outside')
  const left: Parameters<typeof endLeftover>[0][] = [
    { pidFile: join(cluster, 'testcluster.pid'), folder: cluster },
    { pidFile: join(outside, 'agent.pid'), folder: outside },
    { pidFile: join(outside, 'kube-apiserver.pid'), folder: outside },
    { pidFile: join(outside, 'etcd.pid'), folder: outside },
    { pidFile: join(nats, 'nats-server.pid'), folder: nats },
    { pidFile: join(postgres, 'postgres.pid'), folder: postgres, signal: 'SIGINT' },
  ]
  await Promise.all(left.map((one) => endLeftover(one)))
}
