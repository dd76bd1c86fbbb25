/** Figures by process. */
export type ByPart = Readonly<Record<string, number>>

/** A look at every process. */
export type Point = {
  readonly clusters: number
  /** Of a user on a cluster: each has a connection and two watches. */
  readonly sessions: number
  readonly bytes: ByPart
  /** CPU so far. */
  readonly cpuSeconds: ByPart
  readonly atSeconds: number
}

export type ScaleRun = {
  readonly users: number
  readonly clusters: number
  readonly watchesPerSession: number
  /** While clusters join, and then while sessions are opened. */
  readonly joining: readonly Point[]
  readonly opening: readonly Point[]
  /** Growth with one more, by process. */
  readonly bytesPerCluster: ByPart
  readonly bytesPerSession: ByPart
  readonly cpuMicrosPerSession: ByPart
  readonly sessionsPerSecond: number
  /** Shares of a processor while nothing happens: with nothing, with all clusters, with all sessions. */
  readonly idleEmpty: ByPart
  readonly idleJoined: ByPart
  readonly idleShare: ByPart
  /** CPU for one more grant while everything is open, by process. */
  readonly changeMicros: ByPart
  readonly eventP50Micros: number
  readonly eventAllP50Micros: number
  readonly eventHopMicros: number
  /** Why it did not go on. */
  readonly endedBy: string
}
