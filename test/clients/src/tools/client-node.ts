import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import {
  ApiException,
  Attach,
  CoreV1Api,
  Exec,
  KubeConfig,
  Log,
  makeInformer,
  PortForward,
  type V1ConfigMap,
  type V1Status,
  Watch,
} from '@kubernetes/client-node'
import { eventually } from '@postern/bootstrap'
import type { Exercise, Tool } from '../tool.ts'
import type { ClientWay } from '../ways.ts'
import { packageVersion } from './pinned-versions.ts'

const ANSWER_MS_MAX = 30_000
const STDIN_BYTES = 500_000

function configOf({ kubeconfig }: ClientWay): KubeConfig {
  const config = new KubeConfig()
  config.loadFromFile(kubeconfig)
  return config
}

const core = (way: ClientWay) => configOf(way).makeApiClient(CoreV1Api)

const configMap = (name: string): V1ConfigMap => ({ metadata: { name }, data: { a: 'b' } })

/** Makes a config map, changes it and deletes it. */
async function comeAndGo(way: ClientWay, name: string): Promise<void> {
  const { namespace } = way
  const api = core(way)
  const body = await api.createNamespacedConfigMap({ namespace, body: configMap(name) })
  body.data = { a: 'c' }
  await api.replaceNamespacedConfigMap({ namespace, name, body })
  await api.deleteNamespacedConfigMap({ namespace, name })
}

async function until(what: string, isSo: () => boolean, said: () => unknown): Promise<void> {
  await eventually(what, ANSWER_MS_MAX, async () => {
    if (!isSo()) throw new Error(JSON.stringify(said()))
    await Promise.resolve()
  })
}

const objects: Exercise = {
  title: 'create, list, read, replace, delete',
  async play(way) {
    const { namespace } = way
    const api = core(way)
    const name = 'by-client-node'
    const made = await api.createNamespacedConfigMap({ namespace, body: configMap(name) })
    const { items } = await api.listNamespacedConfigMap({ namespace, limit: 1 })
    made.data = { a: 'c' }
    const changed = await api.replaceNamespacedConfigMap({ namespace, name, body: made })
    const read = await api.readNamespacedConfigMap({ namespace, name })
    await api.deleteNamespacedConfigMap({ namespace, name })
    return JSON.stringify([items.length, changed.data, read.data])
  },
}

const errors: Exercise = {
  title: 'what is not there is an ApiException',
  async play(way) {
    const reading = core(way).readNamespacedPod({ namespace: way.namespace, name: 'missing' })
    return await reading.then(
      () => 'it is there',
      (error: unknown) =>
        error instanceof ApiException ? `${error.code} ${String(error.body)}` : String(error),
    )
  },
}

const watch: Exercise = {
  title: 'watch',
  async play(way) {
    const events: string[] = []
    const query = { fieldSelector: 'metadata.name=watched' }
    const path = `/api/v1/namespaces/${way.namespace}/configmaps`
    const onEvent = (phase: string) => void events.push(phase)
    const running = await new Watch(configOf(way)).watch(path, query, onEvent, () => {})
    await comeAndGo(way, 'watched')
    await until(
      'DELETED',
      () => events.includes('DELETED'),
      () => events,
    )
    running.abort()
    return events.join(' ')
  },
}

const informer: Exercise = {
  title: 'informer',
  async play(way) {
    const { namespace } = way
    const path = `/api/v1/namespaces/${namespace}/configmaps`
    const list = () => core(way).listNamespacedConfigMap({ namespace })
    const informing = makeInformer<V1ConfigMap>(configOf(way), path, list)
    const events: string[] = []
    const keep = (verb: string) => (object: V1ConfigMap) => {
      if (object.metadata?.name === 'informed') events.push(verb)
    }
    for (const verb of ['add', 'update', 'delete'] as const) informing.on(verb, keep(verb))
    await informing.start()
    await comeAndGo(way, 'informed')
    await until(
      'delete',
      () => events.includes('delete'),
      () => events,
    )
    await informing.stop()
    return events.join(' ')
  },
}

async function execute(way: ClientWay, script: string, stdin: Readable | null): Promise<string> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  let status: V1Status | undefined
  const command = ['sh', '-c', script]
  const socket = await new Exec(configOf(way)).exec(
    way.namespace,
    'talk',
    'c',
    command,
    stdout,
    stderr,
    stdin,
    false,
    (given) => {
      status = given
    },
  )
  const closed = new Promise<number>((resolve) => {
    socket.onclose = ({ code }: { code: number }) => resolve(code)
  })
  const [out, err, code] = await Promise.all([text(stdout), text(stderr), closed])
  return `${socket.protocol}\n${out}\n${err}\n${JSON.stringify(status)}\nClose ${code}`
}

function execWithStdin(): Exercise {
  const input = randomBytes(STDIN_BYTES)
  const hash = createHash('sha256').update(input).digest('hex')
  return {
    title: 'exec with stdin to its end',
    async play(way) {
      const said = await execute(way, 'sha256sum', Readable.from([input]))
      if (!said.includes(hash)) throw new Error(`not ${hash}: ${said}`)
      return said
    },
  }
}

const attach: Exercise = {
  title: 'attach with stdin',
  async play(way) {
    const [stdin, stdout] = [new PassThrough(), new PassThrough()]
    let said = ''
    stdout.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    const attaching = new Attach(configOf(way))
    const { namespace } = way
    const socket = await attaching.attach(namespace, 'echo', 'c', stdout, null, stdin, false)
    stdin.write('hello\n')
    await until(
      'an answer',
      () => said.includes('heard hello'),
      () => said,
    )
    socket.close()
    return said
  },
}

const logs: Exercise = {
  title: 'logs, followed to the end of the container',
  async play(way) {
    const { namespace } = way
    const command = ['sh', '-c', 'echo one; sleep 1; echo two']
    const spec = { restartPolicy: 'Never', containers: [{ name: 'c', image: 'c', command }] }
    const api = core(way)
    await api.createNamespacedPod({ namespace, body: { metadata: { name: 'short' }, spec } })
    await eventually('the pod to run', ANSWER_MS_MAX, async () => {
      const { status } = await api.readNamespacedPod({ namespace, name: 'short' })
      if (status?.phase === 'Pending') throw new Error(JSON.stringify(status))
    })
    const stream = new PassThrough()
    await new Log(configOf(way)).log(namespace, 'short', 'c', stream, { follow: true })
    return await text(stream)
  },
}

const portForward: Exercise = {
  title: 'port-forward',
  async play(way) {
    const forwarding = new PortForward(configOf(way))
    const server = createServer((socket) => {
      socket.on('error', () => {})
      const opened = forwarding.portForward(way.namespace, 'web', [8080], socket, null, socket)
      opened.catch((error: unknown) => socket.destroy(error instanceof Error ? error : undefined))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    try {
      const headers = { connection: 'close' }
      const answers = ['/a', '/b'].map(async (path) => {
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers })
        return await response.text()
      })
      return (await Promise.all(answers)).join(' ')
    } finally {
      server.close()
    }
  },
}

/** The official JavaScript client. */
export const clientNode: Tool = {
  id: 'client-node',
  name: '@kubernetes/client-node',
  version: packageVersion('@kubernetes/client-node'),
  pods: true,
  async prepare() {},
  exercises: [
    objects,
    errors,
    watch,
    informer,
    {
      title: 'exec with an exit code',
      play: (way) => execute(way, 'echo out; echo err >&2; exit 7', null),
    },
    execWithStdin(),
    attach,
    logs,
    portForward,
  ],
}
