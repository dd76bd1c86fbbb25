import { expectEqual, expectThat } from './expect.ts'
import { normalized, type Way } from './kubectl/exercise.ts'
import { kubectlExercises } from './kubectl/kubectl-exercises.ts'
import type { StoryStep } from './story-step.ts'
import type { World } from './world.ts'

export const everyKubectlCommand: StoryStep = {
  title:
    'every kubectl command gives the same output and exit code as sent directly, over WebSocket and SPDY',

  async run(world, say) {
    await world.kubectlOf('lead', 'alpha')
    const { dir, kubectlProgram: program } = world
    const { kubeconfig } = world.cluster('alpha')
    const direct: Way = { name: 'direct', kubeconfig, namespace: 'way-d', dir }
    const through = world.kubeconfigFile('lead', 'alpha')
    const postern: Way = { name: 'postern', kubeconfig: through, namespace: 'way-p', dir }
    const admin = world.cluster('alpha').kubectl
    for (const { namespace } of [direct, postern])
      await admin.ok(['create', 'namespace', namespace])

    const exercises = kubectlExercises()
    for (const { title, play } of exercises) {
      const said = async (way: Way) => normalized(await play(way, program), way)
      const [wanted, seen] = await Promise.all([said(direct), said(postern)])
      expectEqual(seen, wanted, `${title} through Postern`)
    }
    await reviews(world, say)
    say(`${exercises.length} commands compared`)
  },
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
