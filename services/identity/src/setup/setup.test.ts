import { given } from '@postern/eventing/testing'
import { test } from 'vitest'
import { setup } from './setup.ts'

const at = { by: 'system', now: new Date('2026-01-01T00:00:00Z') }
const userId = '01900000-0000-7000-8000-000000000001'

test('set-up happens once', () => {
  given(setup, [])
    .when({ type: 'CompleteSetup', userId }, at)
    .emits([{ type: 'SetupCompleted', userId }])
  given(setup, [{ type: 'SetupCompleted', userId }])
    .when({ type: 'CompleteSetup', userId }, at)
    .rejects('SETUP_COMPLETED')
})
