import { defineService } from '@postern/service'
import { composeConsole } from './compose.ts'
import { type ConsoleConfig, consoleSettings } from './config.ts'

/** The web edge: the public API, sign-in and kubeconfigs. Owns no state. */
export const consoleService = defineService<ConsoleConfig, never, never>({
  name: 'console',
  settings: consoleSettings,
  compose: composeConsole,
})
