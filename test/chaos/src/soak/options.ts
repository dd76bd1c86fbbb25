import { optionsOf, UsageError } from '@postern/bootstrap'

export const HELP = `npm run soak: Postern as it ships under mixed use for a while; what grows with time fails it

  npm run soak                        20 minutes
  npm run soak -- --minutes N         so many
  npm run soak -- --json FILE         all samples and figures, as JSON`

export type Options = { readonly minutes: number; readonly json: string | undefined }

/** `undefined`: only help was wanted. @throws UsageError */
export function parseOptions(args: readonly string[]): Options | undefined {
  const values = optionsOf('npm run soak', args, {
    minutes: { type: 'string', default: '20' },
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  })
  if (values.help) return undefined
  const minutes = Number(values.minutes)
  if (!Number.isInteger(minutes) || minutes < 2 || minutes > 10_000) {
    throw new UsageError('--minutes is a whole number from 2 to 10000')
  }
  return { minutes, json: values.json }
}
