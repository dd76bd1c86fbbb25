import { rejections } from '@postern/errors'

export const ownRejected = rejections({
  ONLY_YOUR_OWN: [
    'permission_denied',
    'without the permission of an administrator you may do this only for yourself',
  ],
})
