import { TIER_RULES, type Tier } from '@postern/access'
import { rejections } from '@postern/errors'
import { stringify } from 'yaml'
import { INSTALL_LEVELS } from './cluster.ts'
import type { ClusterRow } from './cluster-repository.ts'

/** Renders what joins a cluster with one `kubectl apply -f`. It holds the join token: never log it. */
export type RenderJoinManifest = (order: {
  cluster: ClusterRow
  joinToken: string
}) => Promise<string>

const rejected = rejections({
  NO_RELAY: [
    'failed_precondition',
    'no relay has registered yet, so an agent could not reach Postern; start one first',
  ],
})

/** Each level brings the roles of the lower ones too. */
const TIERS: readonly (readonly [level: number, tier: Tier])[] = [
  [INSTALL_LEVELS.view, 'postern-view'],
  [INSTALL_LEVELS.edit, 'postern-edit'],
  [INSTALL_LEVELS.admin, 'postern-admin'],
]

export function createRenderJoinManifest(needs: {
  template: string
  relayAddresses: () => Promise<readonly string[]>
  /** Roots, PEM: the agent trusts nothing else. */
  roots: () => string
  trustDomain: string
  agentImage: string
}): RenderJoinManifest {
  const { template, relayAddresses, roots, trustDomain, agentImage } = needs
  return async ({ cluster, joinToken }) => {
    const relays = await relayAddresses()
    if (relays.length === 0) throw rejected('NO_RELAY')
    const tiers = TIERS.filter(([level]) => level <= cluster.installLevel).map(([, tier]) => tier)
    const manifest = fill(template, {
      agentImage,
      clusterName: cluster.name,
      joinToken,
      relays: relays.join(','),
      roots: roots(),
      tierNames: tiers,
      trustDomain,
    })
    return [manifest.trimEnd(), ...tiers.map(tierRole)].join('\n---\n')
  }
}

/**
 * Replaces each `{{name}}` by its value as JSON, which is a YAML value too: nothing in a value can end
 * it and begin something else.
 *
 * @throws Error for a placeholder without a value, or a value without a placeholder
 */
export function fill(template: string, values: Readonly<Record<string, unknown>>): string {
  const unused = new Set(Object.keys(values))
  const filled = template.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
    if (!Object.hasOwn(values, name)) throw new Error(`the manifest has an unknown {{${name}}}`)
    unused.delete(name)
    return JSON.stringify(values[name])
  })
  if (unused.size > 0) throw new Error(`the manifest lacks ${[...unused].join(', ')}`)
  return filled
}

/** A tier as a ClusterRole of rbac.authorization.k8s.io/v1. */
function tierRole(tier: Tier): string {
  const rules = TIER_RULES[tier].map((rule) => ({
    ...(rule.nonResourceUrls.length > 0
      ? { nonResourceURLs: [...rule.nonResourceUrls] }
      : { apiGroups: [...rule.apiGroups], resources: [...rule.resources] }),
    ...(rule.resourceNames.length > 0 ? { resourceNames: [...rule.resourceNames] } : {}),
    verbs: [...rule.verbs],
  }))
  return stringify({
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: tier, labels: { 'app.kubernetes.io/part-of': 'postern' } },
    rules,
  })
}
