import { historyRecorder } from '@postern/eventing/testing'
import { cluster } from '../src/cluster/cluster.ts'
import { joinToken } from '../src/join-token/join-token.ts'
import { relay } from '../src/relay/relay.ts'
import { tunnelBrokerCodec as codec } from '../src/tunnel-broker-codec.ts'

/** By the first word of a stream. */
const deciders = { cluster, join: joinToken, relay }

export const { record, replay } = historyRecorder({ codec, deciders })
