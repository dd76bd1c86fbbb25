import { historyRecorder } from '@postern/eventing/testing'
import { grant } from '../src/grant/grant.ts'
import { policyCodec as codec } from '../src/policy-codec.ts'
import { role } from '../src/role/role.ts'

export const { record, replay } = historyRecorder({ codec, deciders: { role, grant } })
