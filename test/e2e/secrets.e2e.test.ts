import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { runService } from './support/service-process.ts'

const folder = mkdtempSync(join(tmpdir(), 'ptn-secrets-'))
for (const name of ['empty', 'tls.crt', 'tls.key', 'ca.crt']) writeFileSync(join(folder, name), '')
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const GOOD = 'k2v9Qe7LxT4mZr8w'

type Service =
  | 'identity'
  | 'policy'
  | 'session'
  | 'tunnel-broker'
  | 'audit'
  | 'gateway'
  | 'relay'
  | 'console'
  | 'agent'

/** All that a service is told; none of it exists. */
function settingsOf(service: Service, password: string): Record<string, string> {
  const prefix = `POSTERN_${service.replaceAll('-', '_').toUpperCase()}_`
  const common = {
    POSTERN_NATS_URL: `nats://${service}:${password}@127.0.0.1:1`,
    [`${prefix}LISTEN`]: '127.0.0.1:0',
    [`${prefix}TLS_DIR`]: folder,
  }
  const web = { [`${prefix}TLS_CERT_FILE`]: folder, [`${prefix}TLS_KEY_FILE`]: folder }
  switch (service) {
    case 'gateway':
      return { ...common, ...web, [`${prefix}DOMAIN`]: 'gw.test', [`${prefix}SPOOL_DIR`]: folder }
    case 'console':
      return { ...web, [`${prefix}TLS_DIR`]: folder, [`${prefix}GATEWAY_URL`]: 'https://gw.test' }
    case 'relay':
      return {
        [`${prefix}TLS_DIR`]: folder,
        [`${prefix}LISTEN`]: '127.0.0.1:0',
        [`${prefix}AGENT_ADDRESS`]: 'relay.test:443',
        [`${prefix}GATEWAY_ADDRESS`]: 'relay.test:443',
        [`${prefix}JOIN_ADDRESS`]: '127.0.0.1:1',
      }
    case 'agent':
      return {
        [`${prefix}CLUSTER`]: 'alpha',
        [`${prefix}RELAYS`]: 'relay.test:443',
        [`${prefix}JOIN_TOKEN`]: password,
      }
    case 'identity':
    case 'policy':
    case 'session':
    case 'tunnel-broker':
    case 'audit': {
      const own = {
        identity: { [`${prefix}CA_DIR`]: folder },
        audit: { [`${prefix}SIGNING_KEY_FILE`]: join(folder, 'empty') },
        policy: {},
        session: {},
        'tunnel-broker': { [`${prefix}JOIN_LISTEN`]: '127.0.0.1:0' },
      }
      return {
        ...common,
        ...own[service],
        [`${prefix}DATABASE_URL`]: `postgres://${service}:${password}@127.0.0.1:1/postern`,
      }
    }
  }
}

// Each is a process; two at a time is what a small machine has room for.
describe.concurrent('property 10: a default or empty secret does not start', () => {
  test.each([
    { service: 'identity', password: '' },
    { service: 'policy', password: 'changeme' },
    { service: 'session', password: 'postgres' },
    { service: 'tunnel-broker', password: 'password1' },
    { service: 'audit', password: 'admin' },
    { service: 'gateway', password: '' },
    { service: 'agent', password: 'default' },
    { service: 'agent', password: '' },
  ] as const)('$service does not start with "$password"', async ({ service, password }) => {
    const settings = settingsOf(service, password)
    const { code, output } = await runService(service, settings)
    expect(code).toBe(1)
    const secrets = Object.keys(settings).filter((name) => /DATABASE|NATS|JOIN_TOKEN/.test(name))
    for (const name of service === 'agent' ? ['POSTERN_AGENT_JOIN_TOKEN'] : secrets) {
      expect(output).toMatch(
        new RegExp(`${name}( is empty|: .*(is empty or )?looks like a default)`),
      )
    }
    expect(password !== '' && output.includes(`:${password}@`)).toBe(false)
  })

  // Their settings are usable; what lies in the files is not.
  test.each(['gateway', 'relay', 'console', 'policy'] as const)(
    '%s does not start with empty key files',
    async (service) => {
      const { code, output } = await runService(service, settingsOf(service, GOOD))
      expect(code).toBe(1)
      expect(output).toMatch(/certificate|key|PEM/i)
      expect(output).not.toMatch(/settings/)
    },
  )

  test('a setting that is misspelt, or left out, does not become a default', async () => {
    const settings = { POSTERN_POLICY_DATABSE_URL: 'x' }
    const { code, output } = await runService('policy', settings)
    expect(code).toBe(1)
    expect(output).toMatch(
      /POSTERN_POLICY_DATABSE_URL is not a setting; did you mean POSTERN_POLICY_DATABASE_URL\?/,
    )
    expect(output).toMatch(/POSTERN_POLICY_DATABASE_URL must be set/)
    expect(output).toMatch(/POSTERN_NATS_URL must be set/)
  })
})
