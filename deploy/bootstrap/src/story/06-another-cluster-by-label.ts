import { LABELS } from './01-set-the-scene.ts'
import { expectThat } from './expect.ts'
import type { StoryStep } from './story-step.ts'

export const anotherClusterByLabel: StoryStep = {
  title:
    'a third cluster joins with the same label: lead can use it at once, with no change anywhere',

  async run(world, say) {
    const grants = await world.postern.ok(['grant', 'list', '-o', 'json'])
    await world.addCluster('gamma', LABELS)
    const lead = await world.kubectlOf('lead', 'gamma')
    const began = performance.now()
    const namespaces = await lead.ok(['get', 'pods', '-n', 'postern-system', '-o', 'name'])
    say(`lead's first command there: ${Math.round(performance.now() - began)} ms`)
    expectThat(namespaces.includes('postern-agent'), 'lead to see the pods of gamma', namespaces)
    const after = await world.postern.ok(['grant', 'list', '-o', 'json'])
    expectThat(after === grants, 'the grants to be the same as before', after)
  },
}
