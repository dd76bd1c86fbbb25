import { rejections } from '@postern/errors'
import type { Decider } from '@postern/eventing'

/** Whether the first administrator was made. It happens once in the life of an installation. */
export type Setup = { status: 'open' | 'completed' }

export type SetupCommand = { type: 'CompleteSetup'; userId: string }

export type SetupEvent = { type: 'SetupCompleted'; userId: string }

export const setupRejected = rejections({
  SETUP_COMPLETED: ['failed_precondition', 'set-up is complete; sign in as an administrator'],
  SETUP_TOKEN_WRONG: [
    'permission_denied',
    'the set-up token is wrong; use the one that identity printed when it last started',
  ],
})

export const setup: Decider<Setup, SetupCommand, SetupEvent> = {
  initial: { status: 'open' },

  decide(command, state) {
    if (state.status === 'completed') throw setupRejected('SETUP_COMPLETED')
    return [{ type: 'SetupCompleted', userId: command.userId }]
  },

  evolve() {
    return { status: 'completed' }
  },
}
