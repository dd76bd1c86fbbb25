import type { Snapshot } from '@postern/access'

/** Puts the parts together; the same object as before if none of them changed. */
export function toSnapshot(
  before: Snapshot,
  { users, groups }: Pick<Snapshot, 'users' | 'groups'>,
  { roles, grants }: Pick<Snapshot, 'roles' | 'grants'>,
  { clusters }: Pick<Snapshot, 'clusters'>,
): Snapshot {
  const isSame =
    before.users === users &&
    before.groups === groups &&
    before.roles === roles &&
    before.grants === grants &&
    before.clusters === clusters
  return isSame ? before : { users, groups, roles, grants, clusters }
}
