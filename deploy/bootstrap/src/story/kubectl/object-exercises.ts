import type { KubectlExercise } from './exercise.ts'
import { kubectl, outcome } from './exercise.ts'

const configMap = (value: string) =>
  JSON.stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings' },
    data: { value },
  })

const COMMANDS: readonly (readonly [title: string, args: readonly string[], input?: string])[] = [
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

/** Objects are made, read, changed, watched and deleted. In this order: each builds on what was made before. */
export const objectExercises: readonly KubectlExercise[] = [
  ...COMMANDS.map(
    ([title, args, input]): KubectlExercise => ({
      title,
      play: (way, program) => outcome(program, way, args, input === undefined ? {} : { input }),
    }),
  ),
  {
    title: 'get -w',
    async play(way, program) {
      const selector = ['--field-selector', 'metadata.name=watched']
      const args = ['get', 'configmaps', '-w', '--output-watch-events', ...selector]
      const watch = kubectl(program, way, args)
      await outcome(program, way, ['create', 'configmap', 'watched'])
      await watch.untilOutput(/ADDED +watched/)
      await outcome(program, way, ['delete', 'configmap', 'watched'])
      await watch.untilOutput(/DELETED/)
      await watch.kill()
      return watch.stdout()
    },
  },
]
