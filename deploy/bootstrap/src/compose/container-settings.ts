import { DATABASE, roleOf } from '../platform/databases.ts'
import type { LogOwner, SecretFiles } from '../platform/secrets.ts'

/** Hosts as docker-compose.yml names them. */
const POSTGRES_AT = 'postgres:5432'
export const NATS_PORT = 4222
const NATS_AT = `nats:${NATS_PORT}`

/**
 * The settings of a log's owner that carry a password, as the file that POSTERN_CONFIG_FILE names (JSON is
 * YAML): environment variables show in `docker inspect`, files do not.
 */
export function containerSettings(
  owner: LogOwner,
  passwords: Pick<SecretFiles, 'password'>,
): string {
  const bus = {
    POSTERN_NATS_URL: `nats://${owner}:${passwords.password(`nats-${owner}`)}@${NATS_AT}`,
  }
  return `${JSON.stringify({ ...databaseSetting(owner, passwords), ...bus }, undefined, 2)}\n`
}

function databaseSetting(owner: LogOwner, passwords: Pick<SecretFiles, 'password'>) {
  const password = passwords.password(`postgres-${owner}`)
  const name = `POSTERN_${owner.replaceAll('-', '_').toUpperCase()}_DATABASE_URL`
  return { [name]: `postgres://${roleOf(owner)}:${password}@${POSTGRES_AT}/${DATABASE}` }
}
