import type { GroupEvent } from './group/group.ts'
import type { SetupEvent } from './setup/setup.ts'
import type { TokenEvent } from './token/token.ts'
import type { UserEvent } from './user/user.ts'

/** Every fact in identity's log. */
export type IdentityEvent = UserEvent | GroupEvent | TokenEvent | SetupEvent
