import { join } from 'node:path'
import { createCommand } from '@postern/bootstrap'
import { environment } from '../config.ts'
import type { Exercise, Tool } from '../tool.ts'
import type { ClientWay } from '../ways.ts'
import { goProgram } from './go-program.ts'
import { moduleVersion } from './pinned-versions.ts'

const SOURCE_DIR = join(environment.clientsDir, 'helm')
const CHART = join(SOURCE_DIR, 'chart')
const VERSION = moduleVersion(join(SOURCE_DIR, 'go.mod'), 'helm.sh/helm/v4')
const WAIT = ['--wait', '--timeout', '60s']

let building: Promise<string> | undefined
const program = () => {
  const variables = [`helm.sh/helm/v4/internal/version.version=${VERSION}`]
  building ??= goProgram({ name: 'helm', sourceDir: SOURCE_DIR, variables })
  return building
}

async function helm(way: ClientWay, args: readonly string[]): Promise<string> {
  const home = (name: string) => join(way.dir, `helm-${way.name}`, name)
  const env = {
    ...environment.variables,
    KUBECONFIG: way.kubeconfig,
    HELM_CACHE_HOME: home('cache'),
    HELM_CONFIG_HOME: home('config'),
    HELM_DATA_HOME: home('data'),
  }
  const command = createCommand({ name: 'helm', program: await program(), args: [], env })
  const { code, stdout, stderr } = await command.run(['-n', way.namespace, ...args])
  const said = `rc=${code}\n${stdout}\n${stderr}`
  return said.replaceAll(/\w{3} \w{3} [ \d]\d [\d:]{8} \d{4}/g, 'TIME')
}

const ran = (title: string, args: readonly string[], code = 0): Exercise => ({
  title,
  async play(way) {
    const said = await helm(way, args)
    if (!said.startsWith(`rc=${code}\n`)) throw new Error(said)
    const timeless = said.replaceAll(/\d{4}-\d\d-\d\d [\d:.]+ [+-]\d{4} \w+/g, 'TIME')
    // helm prints kinds in the order of a Go map, and pods by the names that they were given.
    const lines = timeless.replaceAll(/shop-\w{6,10}-\w{5}/g, 'shop-POD').split('\n')
    return lines.toSorted().join('\n')
  },
})

/** Builds on what was done before: in this order. */
export const helm4: Tool = {
  id: 'helm-4',
  name: 'helm',
  version: VERSION.slice(1),
  pods: false,
  prepare: async () => void (await program()),
  exercises: [
    {
      title: 'says its version',
      async play(way) {
        const said = await helm(way, ['version', '--template', '{{.Version}}'])
        if (!said.includes(VERSION)) throw new Error(`it is not ${VERSION}: ${said}`)
        return said
      },
    },
    ran('install, and wait', ['install', 'shop', CHART, ...WAIT]),
    ran('install under a name that is taken', ['install', 'shop', CHART], 1),
    ran('list', ['list']),
    ran('status', ['status', 'shop']),
    ran('upgrade, and wait', [
      'upgrade',
      'shop',
      CHART,
      '--set',
      'replicas=2,greeting=ho',
      ...WAIT,
    ]),
    ran('get manifest', ['get', 'manifest', 'shop']),
    ran('get values', ['get', 'values', 'shop']),
    ran('history', ['history', 'shop']),
    ran('rollback, and wait', ['rollback', 'shop', '1', ...WAIT]),
    ran('uninstall, and wait', ['uninstall', 'shop', ...WAIT]),
    ran('status of what is not there', ['status', 'shop'], 1),
  ],
}
