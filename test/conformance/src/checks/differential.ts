import type { Check, Generated } from '../check.ts'
import { compareWithCluster } from '../differential/compare-with-cluster.ts'

export function differentialChecks({ requests, seed }: Generated): Check[] {
  return [
    {
      id: 'RI-differential',
      title: `${requests} generated requests: kube-apiserver's own audit log shows each as it was decided (who, verb, group, resource, subresource, namespace, name, address), and none that was not`,
      async run(worlds) {
        const world = await worlds.cluster()
        await compareWithCluster(world, { count: requests, seed, say: worlds.say })
      },
    },
  ]
}
