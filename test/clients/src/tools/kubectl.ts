import { join } from 'node:path'
import {
  buildDemoCluster,
  type KubectlExercise,
  kubectlExercises,
  outcome,
} from '@postern/bootstrap'
import { environment } from '../config.ts'
import type { Exercise, Tool } from '../tool.ts'
import { goProgram } from './go-program.ts'
import { furtherExercises } from './kubectl-further.ts'
import { leavingExercises } from './kubectl-leaving.ts'
import { moduleVersion } from './pinned-versions.ts'

const SOURCE_DIR = join(environment.clientsDir, 'kubectl')
const MINORS = ['1.33', '1.31', '1.27']
const VERSION_PACKAGES = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version']

/** The one that comes with the test cluster. */
export const kubectlOfCluster: Tool = kubectlTool({
  version: moduleVersion(join(environment.clusterSourceDir, 'go.mod'), 'k8s.io/kubernetes'),
  find: async () => (await buildDemoCluster()).kubectl,
})

/** Older ones, each built from the modules of its release. */
export const olderKubectls: readonly Tool[] = MINORS.map((minor) => {
  const modFile = `${minor}.mod`
  const module = moduleVersion(join(SOURCE_DIR, modFile), 'k8s.io/kubectl')
  const version = module.replace(/^v0/, 'v1')
  const [, number = ''] = minor.split('.')
  const facts = { gitVersion: version, gitMajor: '1', gitMinor: number, gitTreeState: 'clean' }
  const variables = VERSION_PACKAGES.flatMap((name) =>
    Object.entries(facts).map(([fact, value]) => `${name}.${fact}=${value}`),
  )
  return kubectlTool({
    version,
    find: () => goProgram({ name: 'kubectl', sourceDir: SOURCE_DIR, modFile, variables }),
  })
})

/** What the story does not play. */
export const kubectlBeyondStory: Tool = {
  ...kubectlOfCluster,
  pods: true,
  exercises: kubectlOfCluster.exercises.filter(
    ({ title }) => !kubectlExercises().some((played) => played.title === title),
  ),
}

function kubectlTool({ version, find }: { version: string; find: () => Promise<string> }): Tool {
  let finding: Promise<string> | undefined
  const program = () => {
    finding ??= find()
    return finding
  }
  const bound = ({ title, play }: KubectlExercise): Exercise => ({
    title,
    play: async (way) => await play(way, await program()),
  })
  const minor = version.split('.').slice(0, 2).join('.').slice(1)
  return {
    id: `kubectl-${minor}`,
    name: 'kubectl',
    version: version.slice(1),
    pods: false,
    exercises: [
      {
        title: 'says its version',
        async play(way) {
          const said = await outcome(await program(), way, ['version', '-o', 'json'])
          if (!said.includes(version)) throw new Error(`it is not ${version}: ${said}`)
          return said
        },
      },
      ...kubectlExercises().map(bound),
      ...furtherExercises.map(bound),
      ...leavingExercises(program),
    ],
    prepare: async () => void (await program()),
  }
}
