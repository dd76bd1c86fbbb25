import { DATABASE, roleOf } from '../platform/databases.ts'
import { LOG_OWNERS, type LogOwner, type SecretFiles } from '../platform/secrets.ts'

/** Whoever gets a settings file: all that connect to PostgreSQL or the bus. */
export const WITH_SETTINGS = [...LOG_OWNERS, 'gateway'] as const

/** Hosts as docker-compose.yml names them. */
const POSTGRES_AT = 'postgres:5432'
export const NATS_PORT = 4222
const NATS_AT = `nats:${NATS_PORT}`

/**
 * The settings of a part that carry a password, as the file that POSTERN_CONFIG_FILE names (JSON is
 * YAML): environment variables show in `docker inspect`, files do not.
 */
export function containerSettings(
  part: (typeof WITH_SETTINGS)[number],
  passwords: Pick<SecretFiles, 'password'>,
): string {
  const bus = {
    POSTERN_NATS_URL: `nats://${part}:${passwords.password(`nats-${part}`)}@${NATS_AT}`,
  }
  const own = isLogOwner(part) ? databaseSetting(part, passwords) : {}
  return `${JSON.stringify({ ...own, ...bus }, undefined, 2)}\n`
}

function databaseSetting(owner: LogOwner, passwords: Pick<SecretFiles, 'password'>) {
  const password = passwords.password(`postgres-${owner}`)
  const name = `POSTERN_${owner.replaceAll('-', '_').toUpperCase()}_DATABASE_URL`
  return { [name]: `postgres://${roleOf(owner)}:${password}@${POSTGRES_AT}/${DATABASE}` }
}

function isLogOwner(part: string): part is LogOwner {
  return LOG_OWNERS.some((owner) => owner === part)
}
