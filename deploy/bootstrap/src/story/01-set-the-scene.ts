import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expectThat } from './expect.ts'
import type { StoryStep } from './story-step.ts'

export const LABELS = { env: 'story' } as const

const POLICY = `kind: Role
name: developer
description: workloads, logs and exec
rules:
  - verbs: ['*']
    apiGroups: ['']
    resources: [pods, configmaps, services]
  - verbs: [get]
    apiGroups: ['']
    resources: [pods/log]
  - verbs: [get, create]
    apiGroups: ['']
    resources: [pods/exec, pods/attach, pods/portforward]
  - verbs: ['*']
    apiGroups: [apps]
    resources: [deployments, replicasets, statefulsets, daemonsets]
  - verbs: [get, update, patch]
    apiGroups: [apps]
    resources: [deployments/scale]
  - verbs: ['*']
    apiGroups: [batch]
    resources: [jobs, cronjobs]
  - verbs: [get, list, watch]
    apiGroups: ['']
    resources: [events, namespaces, serviceaccounts]
---
kind: Role
name: reader
description: reads workloads
rules:
  - verbs: [get, list, watch]
    apiGroups: ['', apps]
    resources: [pods, deployments, services, configmaps]
---
kind: Grant
name: developers-everywhere
terms:
  subjects: [group:developers]
  role: developer
  clusterSelector: { matchLabels: { env: story } }
  namespaces: { all: true }
---
kind: Grant
name: trainee-everything
terms:
  subjects: [user:trainee]
  role: developer
  clusterSelector: { matchLabels: { env: story } }
  namespaces: { all: true }
`

export const setTheScene: StoryStep = {
  title: 'an administrator makes groups, users, roles and grants by label; two clusters join',

  async run(world, say) {
    const { postern } = world
    await postern.ok(['group', 'create', 'developers'])
    await postern.ok(['user', 'create', 'lead', '--group', 'developers'])
    await postern.ok(['user', 'create', 'trainee'])
    const file = join(world.dir, 'policy.yaml')
    writeFileSync(file, POLICY)
    const first = await postern.ok(['apply', '-f', file])
    expectThat(first.includes('+ Role developer'), 'apply to show what it creates', first)
    const second = await postern.ok(['apply', '-f', file])
    expectThat(!/[+~] (Role|Grant)/.test(second), 'a second apply to change nothing', second)
    // One after the other: the figure of each is worth something then.
    for (const name of ['alpha', 'beta']) {
      const began = performance.now()
      await world.addCluster(name, LABELS)
      say(
        `cluster ${name} started and joined in ${((performance.now() - began) / 1000).toFixed(1)} s`,
      )
    }
    const clusters = await postern.ok(['cluster', 'list'])
    expectThat((clusters.match(/online/g) ?? []).length === 2, 'two clusters online', clusters)
  },
}
