import { expect, test } from 'vitest'
import { parseStartOptions } from './options.ts'

const parse = (args: readonly string[], found?: string) =>
  parseStartOptions({ args, dataDir: '/data', found, isFile: (path) => path === '/kubeconfig' })

test('without options the data of the last run is kept, and a cluster is built', () => {
  expect(parse([])).toEqual({ dir: '/data', fresh: false, help: false, cluster: 'built' })
})

test.each([
  { args: ['--no-cluster'], found: 'none', cluster: 'none' },
  {
    args: ['--kubeconfig', '/kubeconfig'],
    found: 'kubeconfig',
    cluster: { kubeconfig: '/kubeconfig' },
  },
  { args: ['--kubeconfig=/kubeconfig'], found: 'built', cluster: { kubeconfig: '/kubeconfig' } },
  { args: [], found: 'built', cluster: 'built' },
  { args: [], found: 'k3s', cluster: 'k3s' },
  { args: [], found: 'envtest', cluster: 'envtest' },
])('where $args is asked and $found was found, the cluster is $cluster', (about) => {
  expect(parse(about.args, about.found).cluster).toEqual(about.cluster)
})

test.each([
  { args: ['--bogus'], says: /--bogus.*--help lists the options/s },
  { args: ['bogus'], says: /bogus.*--help lists the options/s },
  { args: ['--kubeconfig'], says: /--kubeconfig.*--help lists the options/s },
  { args: ['--kubeconfig', '/elsewhere'], says: 'there is no kubeconfig /elsewhere' },
  { args: ['--kubeconfig', '/kubeconfig', '--no-cluster'], says: 'choose one' },
])('$args is refused', ({ args, says }) => {
  expect(() => parse(args)).toThrow(says)
})
