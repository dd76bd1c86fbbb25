import { expect, test } from 'vitest'
import { clusterNameFor, parseKubeEndpoint } from './kube-endpoint.ts'

const CA = Buffer.from('the authority').toString('base64')

const kubeconfig = (cluster: object) =>
  JSON.stringify({ 'current-context': 'staging', clusters: [{ name: 'c', cluster }] })

test.each([
  { server: 'https://10.1.2.3:6443', address: '10.1.2.3:6443' },
  { server: 'https://kube.example.com', address: 'kube.example.com:443' },
  { server: 'https://[fd00::1]:6443/', address: '[fd00::1]:6443' },
])('an agent outside of the cluster reaches $server at $address', ({ server, address }) => {
  const endpoint = parseKubeEndpoint(kubeconfig({ server, 'certificate-authority-data': CA }))
  expect(endpoint).toEqual({ context: 'staging', address, ca: 'the authority' })
})

test('an authority that the kubeconfig does not name is left open, never made up', () => {
  expect(parseKubeEndpoint(kubeconfig({ server: 'https://kube.example.com' })).ca).toBeUndefined()
})

test.each([
  { cluster: { server: 'https://h:1', 'proxy-url': 'http://proxy' }, says: 'proxy-url' },
  { cluster: { server: 'https://h:1', 'tls-server-name': 'other' }, says: 'tls-server-name' },
  {
    cluster: { server: 'https://h:1', 'insecure-skip-tls-verify': true },
    says: 'insecure-skip-tls-verify',
  },
  { cluster: { server: 'http://h:1' }, says: 'https://host:port alone' },
  { cluster: { server: 'https://h:1/k8s/clusters/c-1' }, says: 'https://host:port alone' },
  { cluster: {}, says: 'no current context' },
])('a cluster that the agent could not reach the same way is refused: $says', (about) => {
  expect(() => parseKubeEndpoint(kubeconfig(about.cluster))).toThrow(about.says)
})

test.each([
  { context: 'staging', name: 'outside-staging' },
  {
    context: 'arn:aws:eks:eu-west-1:1234:cluster/Prod',
    name: 'outside-arn-aws-eks-eu-west-1-1234-cluster-prod',
  },
  { context: 'admin@demo', name: 'outside-admin-demo' },
  { context: '***', name: 'outside-cluster' },
  { context: 'x'.repeat(90), name: `outside-${'x'.repeat(40)}` },
])('the cluster of context $context joins as $name', ({ context, name }) => {
  expect(clusterNameFor(context)).toBe(name)
})
