const MAJOR_MIN = 2
const MINOR_MIN = 12

/** What an operator has to do before this nats-server can be used; `undefined` if nothing. */
export function serverProblem(
  info: { version?: string; jetstream?: boolean } | undefined,
): string | undefined {
  const version = info?.version ?? 'unknown'
  const [, major, minor] = /^v?(\d+)\.(\d+)\./.exec(version) ?? []
  const isRecent =
    Number(major) > MAJOR_MIN || (Number(major) === MAJOR_MIN && Number(minor) >= MINOR_MIN)
  if (!isRecent) {
    return `nats-server ${version} is too old: Postern needs 2.12 or newer, upgrade it`
  }
  if (info?.jetstream !== true) {
    return 'nats-server runs without JetStream: add a jetstream block to its configuration'
  }
  return undefined
}
