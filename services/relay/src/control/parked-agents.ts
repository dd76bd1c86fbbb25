/** Agents that can be dialled, by cluster. They take turns. */
export type ParkedAgents<Connection> = {
  /** False: the cluster has too many. */
  add(clusterId: string, connection: Connection): boolean
  remove(clusterId: string, connection: Connection): void
  next(clusterId: string): Connection | undefined
  readonly count: number
}

export function createParkedAgents<Connection>(perClusterMax: number): ParkedAgents<Connection> {
  const clusters = new Map<string, Set<Connection>>()
  let count = 0
  return {
    add(clusterId, connection) {
      const agents = clusters.get(clusterId) ?? new Set()
      if (agents.has(connection)) return true
      if (agents.size >= perClusterMax) return false
      clusters.set(clusterId, agents.add(connection))
      count += 1
      return true
    },
    remove(clusterId, connection) {
      const agents = clusters.get(clusterId)
      if (agents?.delete(connection) !== true) return
      count -= 1
      if (agents.size === 0) clusters.delete(clusterId)
    },
    next(clusterId) {
      const agents = clusters.get(clusterId)
      const [agent] = agents ?? []
      if (agents === undefined || agent === undefined) return undefined
      agents.delete(agent)
      agents.add(agent)
      return agent
    },
    get count() {
      return count
    },
  }
}
