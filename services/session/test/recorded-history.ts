import { historyRecorder } from '@postern/eventing/testing'
import { session } from '../src/session/session.ts'
import { sessionCodec as codec } from '../src/session/session-codec.ts'

export const { record, replay } = historyRecorder({ codec, deciders: { session } })
