import type { ColumnType } from 'kysely'

type Json = ColumnType<unknown, string, string>

export type TunnelBrokerDatabase = {
  clusters: {
    cluster_id: string
    name: string
    labels: Json
    install_level: number
    removed: boolean
  }
  agents: { agent_id: string; cluster_id: string; joined_at: string }
  namespaces: { cluster_id: string; name: string; labels: Json }
  join_tokens: {
    token_id: string
    cluster_id: string
    token_sha256: Buffer
    expires_at: string
    redeemed: boolean
  }
  relays: { relay_id: string; agent_address: string; gateway_address: string }
  /** What agents last said of themselves: facts, not a projection. */
  agent_status: {
    agent_id: string
    version: string
    kubernetes_version: string
    problems: Json
    last_seen_at: Date
  }
}
