import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { environment } from '../config.ts'
import { runTerminal, startKubectl } from './background-kubectl.ts'
import { eventually, expectEqual, expectThat } from './expect.ts'
import type { StoryStep } from './story-step.ts'
import type { World } from './world.ts'

/** The two ways to the same cluster, each in a namespace of its own. */
type Way = {
  readonly name: 'direct' | 'postern'
  readonly kubeconfig: string
  readonly namespace: string
}

const WEB = `require('http').createServer((q, s) => s.end('hello ' + q.url)).listen(8080, process.env.POD_IP)`
const BIG_BYTES = 5_000_000

export const everyKubectlCommand: StoryStep = {
  title:
    'every kubectl command gives the same output and exit code as sent directly, over WebSocket and SPDY',

  async run(world, say) {
    await world.kubectlOf('lead', 'alpha')
    const direct = {
      name: 'direct',
      kubeconfig: world.cluster('alpha').kubeconfig,
      namespace: 'way-d',
    } as const
    const postern = {
      name: 'postern',
      kubeconfig: world.kubeconfigFile('lead', 'alpha'),
      namespace: 'way-p',
    } as const
    const admin = world.cluster('alpha').kubectl
    for (const { namespace } of [direct, postern])
      await admin.ok(['create', 'namespace', namespace])

    let compared = 0
    const same = async (title: string, play: (way: Way) => Promise<string>) => {
      const [wanted, seen] = await Promise.all([play(direct), play(postern)])
      expectEqual(normalized(seen), normalized(wanted), `${title} through Postern`)
      compared += 1
    }
    await objects(world, same)
    await pods(world, same)
    for (const protocol of ['websocket', 'spdy'] as const) await streams(world, same, protocol)
    await watches(world, same)
    await reviews(world, say)
    say(`${compared} commands compared`)
  },
}

type Same = (title: string, play: (way: Way) => Promise<string>) => Promise<void>

/** What kubectl says, with everything that is different each time taken out. */
function normalized(text: string): string {
  return text
    .replaceAll(/way-[dp]/g, 'NS')
    .replaceAll(/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g, 'UID')
    .replaceAll(/\b\d{4}-\d\d-\d\dT[\d:.]+Z?\b/g, 'TIME')
    .replaceAll(/\w{3}, \d\d \w{3} \d{4} [\d:]+ [+-]\d{4}/g, 'TIME')
    .replaceAll(/\b127\.\d+\.\d+\.\d+\b/g, 'IP')
    .replaceAll(/\bweb-[a-f0-9]{6,10}(-\w{5})?\b/g, 'web-HASH')
    .replaceAll(/pod-template-hash=\w+/g, 'HASH')
    .replaceAll(/\b\d+(?:ms|s|m\d+s|m)\b/g, 'AGE')
    .replaceAll(/resourceVersion: "\d+"/g, 'RV')
    .replaceAll(/[0-9a-f]{64}/g, 'ID')
    .replaceAll(/ {2,}/g, ' ')
}

type Options = { input?: string; env?: Record<string, string>; keepStdinOpen?: boolean }

function kubectl(world: World, way: Way, args: readonly string[], options: Options = {}) {
  return startKubectl({
    program: world.kubectlProgram,
    kubeconfig: way.kubeconfig,
    cacheDir: join(world.dir, `cache-way-${way.name}`),
    args: ['-n', way.namespace, ...args],
    ...options,
  })
}

/** Exit code, output and errors of a command that ends. */
async function outcome(
  world: World,
  way: Way,
  args: readonly string[],
  options: Options = {},
): Promise<string> {
  const { code, stdout, stderr } = await kubectl(world, way, args, options).ended
  return `rc=${code}\n${stdout}\n${stderr}`
}

async function objects(world: World, same: Same): Promise<void> {
  const configMap = (value: string) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'settings' },
      data: { value },
    })
  const commands: readonly (readonly [string, readonly string[], string?])[] = [
    ['apply (client side)', ['apply', '-f', '-'], configMap('1')],
    ['apply again', ['apply', '-f', '-'], configMap('2')],
    [
      'apply --server-side',
      ['apply', '--server-side', '--force-conflicts', '-f', '-'],
      configMap('3'),
    ],
    ['create configmap', ['create', 'configmap', 'made', '--from-literal=a=b']],
    ['create deployment', ['create', 'deployment', 'web', '--image=web']],
    ['get', ['get', 'configmaps']],
    ['get -o yaml', ['get', 'configmap', 'made', '-o', 'yaml']],
    ['get -o json of what is not there', ['get', 'configmap', 'missing', '-o', 'json']],
    ['describe', ['describe', 'configmap', 'settings']],
    ['patch', ['patch', 'configmap', 'made', '-p', '{"data":{"a":"c"}}']],
    [
      'patch --type=json',
      [
        'patch',
        'configmap',
        'made',
        '--type=json',
        '-p',
        '[{"op":"add","path":"/data/x","value":"y"}]',
      ],
    ],
    ['label', ['label', 'configmap', 'made', 'team=shop']],
    ['get by label', ['get', 'configmaps', '-l', 'team=shop', '-o', 'name']],
    ['get by field', ['get', 'configmaps', '--field-selector', 'metadata.name=made', '-o', 'name']],
    ['get in chunks', ['get', 'configmaps', '--chunk-size=1', '-o', 'name']],
    ['a conflict', ['create', 'configmap', 'made']],
    [
      'a bad object',
      ['apply', '-f', '-'],
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"Not Allowed"}}',
    ],
    ['scale', ['scale', 'deployment', 'web', '--replicas=2']],
    ['wait', ['wait', '--for=condition=Available', 'deployment/web', '--timeout=30s']],
    ['rollout status', ['rollout', 'status', 'deployment/web', '--timeout=30s']],
    ['diff', ['diff', '-f', '-'], configMap('3')],
    ['api-resources', ['api-resources', '--api-group=apps']],
    ['explain', ['explain', 'configmap.data']],
    ['delete', ['delete', 'configmap', 'made']],
    ['delete what is not there', ['delete', 'configmap', 'made']],
    ['delete the deployment', ['delete', 'deployment', 'web']],
  ]
  for (const [title, args, input] of commands) {
    await same(title, (way) => outcome(world, way, args, input === undefined ? {} : { input }))
  }
}

async function pods(world: World, same: Same): Promise<void> {
  const pod = (name: string, command: readonly string[], stdin = false) =>
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: 'c', image: 'c', command, stdin }],
      },
    })
  const all = [
    pod('talk', ['sh', '-c', 'echo one; echo two; echo three; sleep infinity']),
    pod('echo', ['sh', '-c', 'while read line; do echo "heard $line"; done'], true),
    pod('web', [environment.node, '-e', WEB]),
  ].join('\n---\n')
  await same('apply pods', (way) => outcome(world, way, ['apply', '-f', '-'], { input: all }))
  await same('wait for pods', (way) =>
    outcome(world, way, [
      'wait',
      '--for=condition=Ready',
      'pod/talk',
      'pod/echo',
      'pod/web',
      '--timeout=60s',
    ]),
  )
  await same('logs', (way) =>
    eventually('the log', 10_000, async () => {
      const text = await outcome(world, way, ['logs', 'talk'])
      expectThat(text.includes('three'), 'all lines', text)
      return text
    }),
  )
  await same('logs -f', async (way) => {
    const follow = kubectl(world, way, ['logs', '-f', 'talk'])
    await follow.untilOutput('three')
    await follow.kill()
    return follow.stdout()
  })
  await same('logs of a container that is not there', (way) =>
    outcome(world, way, ['logs', 'talk', '-c', 'x']),
  )
}

async function streams(world: World, same: Same, protocol: 'websocket' | 'spdy'): Promise<void> {
  const flag = protocol === 'websocket' ? 'true' : 'false'
  const env = { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: flag, KUBECTL_PORT_FORWARD_WEBSOCKETS: flag }
  const title = (text: string) => `${text} (${protocol})`
  await same(title('exec with an exit code'), (way) =>
    outcome(world, way, ['exec', 'talk', '--', 'sh', '-c', 'echo out; echo err >&2; exit 7'], {
      env,
    }),
  )
  const input = randomBytes(1_000_000).toString('base64')
  await same(title('exec -i with a megabyte of stdin'), (way) =>
    outcome(world, way, ['exec', '-i', 'talk', '--', 'sha256sum'], { env, input }),
  )
  await same(title('exec of what does not exist'), async (way) => {
    const text = await outcome(world, way, ['exec', 'talk', '--', 'no-such-program'], { env })
    return text.replaceAll(/exec: .*/g, 'exec: …')
  })
  await same(title('exec -it on a terminal'), (way) =>
    runTerminal(
      world,
      way.kubeconfig,
      [
        '-n',
        way.namespace,
        'exec',
        '-it',
        'talk',
        '--',
        'sh',
        '-c',
        'tty >/dev/null && echo terminal; stty size; exit 3',
      ],
      env,
    ),
  )
  await same(title('attach with stdin'), async (way) => {
    const attached = kubectl(world, way, ['attach', '-i', 'echo'], { env, keepStdinOpen: true })
    // The container may read before the attachment is there; what is sent until it is there is repeated.
    await eventually('an answer', 15_000, async () => {
      attached.write(`hello ${protocol}\n`)
      expectThat(
        attached.stdout().includes(`heard hello ${protocol}`),
        'an answer',
        attached.stdout(),
      )
    })
    await attached.kill()
    return 'heard'
  })
  await same(title('cp to the pod and back'), (way) => copyBothWays(world, way, env))
  await same(title('port-forward'), (way) => forwardPort(world, way, env))
}

async function copyBothWays(world: World, way: Way, env: Record<string, string>): Promise<string> {
  const folder = join(world.dir, `cp-${way.name}`)
  mkdirSync(folder, { recursive: true })
  const big = randomBytes(BIG_BYTES)
  writeFileSync(join(folder, 'big'), big)
  const remote = `${way.namespace}/talk:tmp/big`
  const to = await outcome(world, way, ['cp', join(folder, 'big'), remote], { env })
  const back = await outcome(world, way, ['cp', remote, join(folder, 'back')], { env })
  const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
  expectEqual(hash(readFileSync(join(folder, 'back'))), hash(big), 'the bytes that came back')
  return `${to}${back}`
}

async function forwardPort(world: World, way: Way, env: Record<string, string>): Promise<string> {
  const forward = kubectl(world, way, ['port-forward', 'pod/web', ':8080'], { env })
  const line = await forward.untilOutput(/Forwarding from 127\.0\.0\.1:(\d+)/)
  const port = /127\.0\.0\.1:(\d+)/.exec(line)?.[1] ?? ''
  const answers: string[] = []
  for (const path of ['/a', '/b', '/c']) {
    const response = await fetch(`http://127.0.0.1:${port}${path}`)
    answers.push(await response.text())
  }
  await forward.kill()
  return answers.join(' ')
}

async function watches(world: World, same: Same): Promise<void> {
  await same('get -w', async (way) => {
    const watch = kubectl(world, way, [
      'get',
      'configmaps',
      '-w',
      '--output-watch-events',
      '--field-selector',
      'metadata.name=watched',
    ])
    await outcome(world, way, ['create', 'configmap', 'watched'])
    await watch.untilOutput(/ADDED +watched/)
    await outcome(world, way, ['delete', 'configmap', 'watched'])
    await watch.untilOutput(/DELETED/)
    await watch.kill()
    return watch.stdout()
  })
}

async function reviews(world: World, say: (line: string) => void): Promise<void> {
  const lead = await world.kubectlOf('lead', 'alpha')
  const whoami = await lead.ok(['auth', 'whoami', '-o', 'json'])
  const { status }: { status: { userInfo: { username: string; groups: string[] } } } =
    JSON.parse(whoami)
  expectEqual(status.userInfo.username, 'lead', 'whoami')
  expectThat(
    status.userInfo.groups.includes('developers'),
    'the groups of the human',
    status.userInfo,
  )
  expectThat(!whoami.includes('postern-jit'), 'nothing of the account', whoami)
  const yes = await lead.run(['auth', 'can-i', 'create', 'deployments.apps', '-n', 'default'])
  expectThat(yes.stdout.trim() === 'yes', 'can-i create deployments: yes', yes)
  const no = await lead.run(['auth', 'can-i', 'create', 'clusterroles.rbac.authorization.k8s.io'])
  expectThat(no.stdout.startsWith('no') && no.code === 1, 'can-i create clusterroles: no', no)
  await lead.ok(['auth', 'can-i', '--list', '-n', 'default'])
  say(`auth whoami: ${status.userInfo.username}, ${status.userInfo.groups.join(', ')}`)
}
