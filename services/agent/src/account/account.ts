/** The wanted state of one session's account, as the session service ordered it. */
export type AccountOrder = {
  readonly sessionId: string
  /** Higher versions replace lower ones. */
  readonly version: number
  readonly wanted: boolean
  /** Name of the ServiceAccount. */
  readonly account: string
  readonly userId: string
  readonly userName: string
  readonly bindings: readonly Binding[]
  readonly expiresAtMs: number
}

/** One ClusterRole: in the namespaces, or in the whole cluster where none is named. */
export type Binding = { readonly clusterRole: string; readonly namespaces: readonly string[] }

/** What the agent knows of one session's account. */
export type Account =
  | { readonly status: 'unknown' }
  /** `madeVersion` is the version whose objects stand in the cluster; 0 for none. */
  | { readonly status: 'wanted'; readonly order: AccountOrder; readonly madeVersion: number }
  /** Everything of it has to go; it never comes back. */
  | {
      readonly status: 'unwanted'
      readonly version: number
      readonly removed: boolean
      /** Until then an old order, played again, could still ask for it. */
      readonly rememberUntilMs: number
    }

export type AccountFact =
  | { readonly type: 'Ordered'; readonly order: AccountOrder }
  /** The objects of that version stand, and a token is at hand. */
  | { readonly type: 'Made'; readonly version: number }
  /** An object was found missing, or a token refused. */
  | { readonly type: 'FoundBroken' }
  /** No object of the session is in the cluster any more. */
  | { readonly type: 'Removed' }
  /** The session service, which has said everything, did not name the session. */
  | { readonly type: 'NotNamed' }
  | { readonly type: 'Looked' }

/** What has to be done next. Doing it twice is harmless. */
export type AccountStep = 'make' | 'remove' | 'nothing'

export const UNKNOWN: Account = { status: 'unknown' }

/** Folds a fact at its moment. An account past its end is unwanted whoever says otherwise. */
export function afterFact(account: Account, fact: AccountFact, at: Date): Account {
  return expired(folded(account, fact), at)
}

export function stepFor(account: Account): AccountStep {
  switch (account.status) {
    case 'unknown':
      return 'nothing'
    case 'wanted':
      return account.madeVersion === account.order.version ? 'nothing' : 'make'
    case 'unwanted':
      return account.removed ? 'nothing' : 'remove'
  }
}

/** Whether the account is over and nothing could bring it back, so that it need not be remembered. */
export function isForgettable(account: Account, at: Date): boolean {
  return account.status === 'unwanted' && account.removed && account.rememberUntilMs <= at.getTime()
}

/** Whether requests may go to the cluster under it, as far as the orders go. */
export function isUsable(account: Account, at: Date): boolean {
  return account.status === 'wanted' && at.getTime() < account.order.expiresAtMs
}

function folded(account: Account, fact: AccountFact): Account {
  switch (fact.type) {
    case 'Ordered':
      return ordered(account, fact.order)
    case 'Made': {
      // What was made for a version that was replaced meanwhile is not what is wanted now.
      const isCurrent = account.status === 'wanted' && account.order.version === fact.version
      return isCurrent ? { ...account, madeVersion: fact.version } : account
    }
    case 'FoundBroken':
      return account.status === 'wanted' ? { ...account, madeVersion: 0 } : account
    case 'Removed':
      return account.status === 'unwanted' ? { ...account, removed: true } : account
    case 'NotNamed':
      return account.status === 'wanted' ? unwanted(account.order) : account
    case 'Looked':
      return account
  }
}

function ordered(account: Account, order: AccountOrder): Account {
  switch (account.status) {
    case 'unknown':
      return order.wanted ? { status: 'wanted', order, madeVersion: 0 } : unwanted(order)
    case 'wanted':
      if (order.version < account.order.version) return account
      if (!order.wanted) return unwanted(order)
      if (order.version === account.order.version) return account
      // A name belongs to one session for ever: another one is no version of the same account.
      if (order.account !== account.order.account) return account
      return { ...account, order }
    case 'unwanted':
      // Ordered again to remove: the report of it was lost. Never again to make.
      return !order.wanted && order.version >= account.version && account.removed
        ? unwanted(order)
        : account
  }
}

function expired(account: Account, at: Date): Account {
  const isOver = account.status === 'wanted' && !isUsable(account, at)
  return isOver ? unwanted(account.order) : account
}

function unwanted({ version, expiresAtMs }: AccountOrder): Account {
  return { status: 'unwanted', version, removed: false, rememberUntilMs: expiresAtMs }
}
