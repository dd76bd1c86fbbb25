import { eventually, type KubectlExercise, kubectl, outcome, type Way } from '@postern/bootstrap'

const ANSWER_MS_MAX = 30_000
/** Ends by itself, and says more than fits into one read. */
const COUNT =
  'i=0; while [ $i -lt 3000 ]; do echo "line $i of what is said"; i=$((i+1)); done; echo last'

/** Says it until it is answered: a container may read before somebody is attached. */
async function heard(program: string, way: Way, args: readonly string[]): Promise<string> {
  const attached = kubectl(program, way, args, { keepStdinOpen: true })
  await eventually('an answer', ANSWER_MS_MAX, async () => {
    attached.write('hello\n')
    if (!attached.stdout().includes('heard hello')) {
      throw new Error(`${attached.stdout()} ${attached.stderr()}`)
    }
  })
  await attached.kill()
  return 'heard'
}

const LISTEN = 'while read line; do echo "heard $line"; done'

/** What the story of the demo does not play. They need the pods of the exercises before them. */
export const furtherExercises: readonly KubectlExercise[] = [
  {
    title: 'debug -i with an ephemeral container',
    play: (way, program) =>
      heard(program, way, [
        'debug',
        '-i',
        'talk',
        '--image=c',
        '--container=debugger',
        '--',
        'sh',
        '-c',
        LISTEN,
      ]),
  },
  {
    title: 'exec into the ephemeral container',
    play: (way, program) =>
      outcome(program, way, [
        'exec',
        'talk',
        '-c',
        'debugger',
        '--',
        'sh',
        '-c',
        'echo in; exit 5',
      ]),
  },
  {
    title: 'run -i, which creates and attaches',
    play: (way, program) =>
      heard(program, way, [
        'run',
        'listener',
        '-i',
        '--image=c',
        '--restart=Never',
        '--command',
        '--',
        'sh',
        '-c',
        LISTEN,
      ]),
  },
  {
    title: 'logs -f to the end of the container',
    async play(way, program) {
      const run = ['run', 'counter', '--image=c', '--restart=Never', '--command', '--']
      const made = await outcome(program, way, [...run, 'sh', '-c', `sleep 1; ${COUNT}`])
      await outcome(program, way, ['wait', '--for=jsonpath={.status.phase}=Running', 'pod/counter'])
      const followed = await outcome(program, way, ['logs', '-f', 'counter'])
      if (!/rc=0[\s\S]*line 2999 of what is said\nlast\n/.test(followed)) throw new Error(followed)
      return `${made}${followed}`
    },
  },
  {
    title: 'auth can-i',
    async play(way, program) {
      return await outcome(program, way, ['auth', 'can-i', 'create', 'pods', '--subresource=exec'])
    },
  },
]
