import { defineService } from '@postern/service'
import { openCertificateAuthority } from './adapters/certificate-authority.ts'
import { ownTlsIdentity } from './adapters/own-tls-identity.ts'
import { composeIdentity, type OnSetupToken } from './compose.ts'
import { type IdentityConfig, identitySettings } from './config.ts'
import type { IdentityDatabase } from './database.ts'
import { directory } from './directory-projection.ts'
import { identityCodec } from './identity-codec.ts'
import type { IdentityEvent } from './identity-event.ts'
import { directoryAndSecrets } from './migrations/0001-directory-and-secrets.ts'
import { createSignals } from './signals.ts'

/** Identity as a service; whoever runs it is handed the one-time set-up token. */
export function createIdentityService({ onSetupToken }: { onSetupToken: OnSetupToken }) {
  return defineService<IdentityConfig, IdentityDatabase, IdentityEvent>({
    name: 'identity',
    settings: identitySettings,
    log: {
      codec: identityCodec,
      projections: [directory],
      migrations: { '0001-directory-and-secrets': directoryAndSecrets },
    },
    async tlsIdentity({ config, trustDomain, log, now }) {
      const authority = await openCertificateAuthority({ dir: config.caDir, now })
      return await ownTlsIdentity({ authority, trustDomain, now, signals: createSignals(log) })
    },
    compose: async (runtime) => await composeIdentity(runtime, onSetupToken),
  })
}

/** Prints the set-up token where the operator reads it, never through the log. */
export const identityService = createIdentityService({
  onSetupToken(setupToken) {
    process.stdout.write(
      `\nPostern is not set up yet. Make the first administrator with this one-time token:\n\n  ${setupToken}\n\n`,
    )
  },
})
