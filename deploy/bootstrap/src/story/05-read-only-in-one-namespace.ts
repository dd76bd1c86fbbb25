import { eventually, expectThat } from './expect.ts'
import type { StoryStep } from './story-step.ts'

export const readOnlyInOneNamespace: StoryStep = {
  title:
    'trainee gets a read-only grant on one namespace: get works there, delete and other namespaces do not',

  async run(world, say) {
    const { postern } = world
    const admin = world.cluster('alpha').kubectl
    for (const namespace of ['shop', 'bank']) {
      await admin.ok(['create', 'namespace', namespace])
      await admin.ok(['create', 'configmap', 'prices', '-n', namespace, '--from-literal=a=1'])
    }
    const grant = ['--subject', 'user:trainee', '--role', 'reader', '--cluster', 'alpha']
    await postern.ok(['grant', 'create', 'trainee-reads-shop', ...grant, '--namespace', 'shop'])
    const trainee = await world.kubectlOf('trainee', 'alpha')
    const read = await eventually('the new grant', 10_000, () =>
      trainee.ok(['get', 'configmap', 'prices', '-n', 'shop', '-o', 'jsonpath={.data.a}']),
    )
    expectThat(read === '1', 'trainee to read in shop', read)
    for (const args of [
      ['delete', 'configmap', 'prices', '-n', 'shop'],
      ['get', 'configmaps', '-n', 'bank'],
      ['get', 'configmaps', '-A'],
      ['get', 'secrets', '-n', 'shop'],
      ['get', 'nodes'],
    ]) {
      const { code, stderr } = await trainee.run(args)
      expectThat(
        code !== 0 && stderr.includes('Forbidden'),
        `kubectl ${args.join(' ')} to be refused`,
        stderr,
      )
      if (args[0] === 'delete') say(stderr.trim())
    }
    const still = await admin.ok(['get', 'configmap', 'prices', '-n', 'shop', '-o', 'name'])
    expectThat(still.includes('prices'), 'the configmap to be there still', still)
    const canI = await trainee.run(['auth', 'can-i', 'delete', 'configmaps', '-n', 'shop'])
    expectThat(canI.stdout.startsWith('no'), 'can-i to say the same', canI.stdout)
  },
}
