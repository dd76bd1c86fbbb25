import { historyRecorder } from '@postern/eventing/testing'
import { group } from '../src/group/group.ts'
import { identityCodec as codec } from '../src/identity-codec.ts'
import { setup } from '../src/setup/setup.ts'
import { token } from '../src/token/token.ts'
import { user } from '../src/user/user.ts'

export const { record, replay } = historyRecorder({
  codec,
  deciders: { user, group, token, setup },
})
