import type { Log } from '@postern/telemetry'

/** What identity tells its operators. Who failed to sign in is named only if there is such a user: people type passwords into the wrong field. */
export function createSignals(log: Log) {
  return {
    signInRefused: (fields: { userId: string | undefined }) => log.warn(fields, 'sign-in refused'),
    setupTokenMade: () => log.warn({}, 'set-up is open: a one-time set-up token was printed'),
    setupCompleted: (fields: { userId: string }) => log.warn(fields, 'set-up completed'),
    ownCertificateRenewed: (fields: { notAfter: Date }) =>
      log.info(fields, 'own certificate renewed'),
    ownCertificateNotRenewed: (fields: { err: unknown }) =>
      log.error(fields, 'own certificate not renewed, trying again'),
  }
}

export type Signals = ReturnType<typeof createSignals>
