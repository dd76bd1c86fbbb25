import { join } from 'node:path'
import { accounts } from './02-account-just-in-time.ts'
import { startKubectl } from './background-kubectl.ts'
import { eventually, expectEqual, expectThat } from './expect.ts'
import { annotation, readRecords } from './postern-records.ts'
import type { StoryStep } from './story-step.ts'

const GRANT = 'trainee-everything'

export const revocationCutsStreams: StoryStep = {
  title:
    'trainee deletes what he should not have been able to; the revocation ends his exec, watch, logs and port-forward',

  async run(world, say) {
    const { postern } = world
    const admin = world.cluster('alpha').kubectl
    await admin.ok(['create', 'namespace', 'prod'])
    await admin.ok(['create', 'deployment', 'precious', '-n', 'prod', '--image=c'])
    await admin.ok([
      'run',
      'box',
      '-n',
      'prod',
      '--image=c',
      '--command',
      '--',
      'sh',
      '-c',
      'while true; do echo tick; sleep 0.2; done',
    ])
    await admin.ok(['wait', '-n', 'prod', '--for=condition=Ready', 'pod/box', '--timeout=60s'])

    const trainee = await world.kubectlOf('trainee', 'alpha')
    await trainee.ok(['delete', 'deployment', 'precious', '-n', 'prod'])
    const records = await eventually('the record of the deletion', 5000, async () => {
      const found = await readRecords(world, ['--user', 'trainee', '--verb', 'delete'])
      expectThat(
        found.some(({ stage }) => stage === 'ResponseComplete'),
        'an outcome',
        found,
      )
      return found
    })
    for (const record of records) {
      const { user, objectRef } = record
      expectEqual(user.username, 'trainee', 'who')
      expectEqual(
        [objectRef?.resource, objectRef?.namespace, objectRef?.name],
        ['deployments', 'prod', 'precious'],
        'what',
      )
      expectEqual(
        [annotation(record, 'cluster'), annotation(record, 'grant')],
        ['alpha', GRANT],
        'where, and through which grant',
      )
    }
    expectThat(
      records.some(({ stage }) => stage === 'RequestReceived'),
      'the intent before the outcome',
      records,
    )
    say(
      `audit: trainee deleted prod/precious on alpha at ${records[0]?.requestReceivedTimestamp} through ${GRANT}`,
    )

    const start = (args: readonly string[]) =>
      startKubectl({
        program: world.kubectlProgram,
        kubeconfig: world.kubeconfigFile('trainee', 'alpha'),
        cacheDir: join(world.dir, 'cache-trainee-alpha'),
        args: ['-n', 'prod', ...args],
        keepStdinOpen: true,
      })
    const streams = {
      exec: start(['exec', '-i', 'box', '--', 'sh', '-c', 'echo ready; cat']),
      watch: start(['get', 'pods', '-w']),
      logs: start(['logs', '-f', 'box']),
      'port-forward': start(['port-forward', 'pod/box', ':8080']),
    }
    await streams.exec.untilOutput('ready')
    await streams.watch.untilOutput('box')
    await streams.logs.untilOutput('tick')
    await streams['port-forward'].untilOutput('Forwarding')

    const began = performance.now()
    await world.admin.api.call('DELETE', `/v1/grants/${GRANT}?reason=deleted%20precious`)
    const answered = performance.now()
    const ended = await Promise.all(
      Object.entries(streams).map(async ([name, stream]) => ({ name, ...(await stream.ended) })),
    )
    const last = Math.max(...ended.map(({ at }) => at))
    say(
      `from the command to the last stream's end: ${Math.round(last - began)} ms (the command itself: ${Math.round(answered - began)} ms)`,
    )
    for (const { name, code, stderr, stdout } of ended) {
      say(`${name} ended with ${code}: ${(stderr || stdout).trim().split('\n').at(-1)}`)
    }
    // kubectl has no way to show it for logs and port-forward; the record says it for all four.
    for (const { name, stdout, stderr } of ended.filter((one) => /exec|watch/.test(one.name))) {
      expectThat(/no grant on the cluster/.test(stdout + stderr), `${name} to say why`, stderr)
    }
    await eventually('the reason in the record of each stream', 5000, async () => {
      const outcomes = await readRecords(world, ['--user', 'trainee'])
      const cut = outcomes.filter(
        (record) => annotation(record, 'cut-code') === '403' && record.stage === 'ResponseComplete',
      )
      expectEqual(
        cut.map(({ objectRef }) => objectRef?.subresource ?? 'watch').toSorted(),
        ['exec', 'log', 'portforward', 'watch'],
        'the streams that were cut',
      )
    })

    const next = await trainee.run(['get', 'pods', '-n', 'prod'])
    expectThat(next.code !== 0, 'the next command to be refused', next)
    expectThat(
      /grant|access/i.test(next.stderr) && next.stderr.length > 60,
      'a reason, and what to do',
      next.stderr,
    )
    say(`the next command: ${next.stderr.trim()}`)

    await eventually("trainee's account to be gone", 10_000, async () => {
      expectEqual((await accounts(world)).length, 1, "the accounts (only lead's)")
      const [account = ''] = await accounts(world)
      const made = ['secrets,clusterrolebindings,rolebindings', '-A', '-l', 'postern.dev/session']
      const left = await admin.ok(['get', ...made, '-o', 'name'])
      const others = left.split('\n').filter((name) => name !== '' && !name.includes(account))
      expectEqual(others, [], "what was made for sessions other than lead's")
    })
    const sessions = await postern.ok(['session', 'list', '--user', 'trainee'])
    expectThat(!sessions.includes('ptr-'), 'no open session of trainee', sessions)
  },
}
