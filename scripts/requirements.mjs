// What `npm start` and `npm run demo` need of the machine, found out before anything is installed or
// built: what is missing is said at once. Plain JavaScript without dependencies.
import { execFileSync } from 'node:child_process'
import { accessSync, constants, existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root, StepError } from './steps.mjs'

const DOCKER_MS_MAX = 10_000

const NO_CLUSTER = `The demo cluster needs one of these, and there is none:
  Go                      https://go.dev/dl: a small cluster is built, some minutes the first time
  Docker                  https://docs.docker.com/engine/install: k3s runs in a container; needs kubectl too
  KUBEBUILDER_ASSETS=DIR  a folder with kube-apiserver, etcd and kubectl (setup-envtest use -p path):
                          a cluster in which no pods run
  --kubeconfig FILE       a cluster of yours, of which you are an administrator; needs kubectl too
Or leave it out: npm start -- --no-cluster`

const NO_NATS = `nats-server 2.12 or newer is needed, and there is none. Install it (https://docs.nats.io; macOS: brew
install nats-server), or install Go (https://go.dev/dl), with which it is built here.`

const NO_GO =
  'The demo plays on real clusters that it builds with Go, and there is none: https://go.dev/dl'

const NO_KUBECTL =
  'kubectl is needed, and there is none on PATH: https://kubernetes.io/docs/tasks/tools'

/**
 * Decides which cluster `npm start` uses: "none", "kubeconfig", "built", "k3s" or "envtest".
 * @throws StepError that says all that is missing and how to get it
 */
export function requirementsOfStart(args) {
  if (args.includes('--help')) return 'none'
  const kind = clusterKind(args)
  const needsKubectl = ['kubeconfig', 'k3s', 'envtest'].includes(kind)
  complain([
    ...withoutNats(),
    ...(kind === undefined ? [NO_CLUSTER] : []),
    ...(needsKubectl ? withoutKubectl() : []),
    ...(kind === 'envtest' ? withoutAssets() : []),
  ])
  return kind
}

/** The story is played on clusters of its own, with pods. @throws StepError as above */
export function requirementsOfDemo() {
  complain([...withoutNats(), ...(hasGo() ? [] : [NO_GO])])
}

function clusterKind(args) {
  if (args.includes('--no-cluster')) return 'none'
  const isGiven = args.some((arg) => arg === '--kubeconfig' || arg.startsWith('--kubeconfig='))
  if (isGiven) return 'kubeconfig'
  if (hasGo()) return 'built'
  if (hasDockerEngine()) return 'k3s'
  return kubebuilderAssets() === '' ? undefined : 'envtest'
}

function complain(problems) {
  if (problems.length > 0) throw new StepError(problems.join('\n\n'))
}

function withoutNats() {
  // Which version it is is seen when it is started.
  const isThere = find('nats-server') || isProgram(join(root, '.tools', 'nats-server')) || hasGo()
  return isThere ? [] : [NO_NATS]
}

function withoutKubectl() {
  const inAssets = isProgram(join(kubebuilderAssets(), 'kubectl'))
  const isThere = find('kubectl') || builtKubectl() || inAssets
  return isThere ? [] : [NO_KUBECTL]
}

function withoutAssets() {
  const folder = kubebuilderAssets()
  const missing = ['kube-apiserver', 'etcd'].filter((name) => !isProgram(join(folder, name)))
  return missing.map((name) => `KUBEBUILDER_ASSETS is ${folder}, where there is no ${name}`)
}

function kubebuilderAssets() {
  const { KUBEBUILDER_ASSETS: folder = '' } = process.env
  return folder
}

/** One that was built together with a demo cluster before. */
function builtKubectl() {
  const tools = join(root, '.tools')
  if (!existsSync(tools)) return false
  return readdirSync(tools).some((name) => isProgram(join(tools, name, 'kubectl')))
}

function hasGo() {
  return find('go') || isProgram('/usr/local/go/bin/go')
}

/** A client alone is not enough. */
function hasDockerEngine() {
  if (!find('docker')) return false
  try {
    const args = ['version', '--format', '{{.Server.Version}}']
    execFileSync('docker', args, { stdio: 'pipe', timeout: DOCKER_MS_MAX })
    return true
  } catch {
    return false
  }
}

function find(name) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .some((folder) => folder !== '' && isProgram(join(folder, name)))
}

function isProgram(file) {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}
