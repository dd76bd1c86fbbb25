import { X509Certificate } from 'node:crypto'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ComposeOrder, prepareCompose } from '../src/compose/prepare-compose.ts'

const DAY_MS = 24 * 60 * 60 * 1000

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-secrets-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const prepare = (order: Partial<ComposeOrder> = {}) =>
  prepareCompose({
    dir: join(folder, 'secrets'),
    envFile: join(folder, '.env'),
    domains: [],
    now: new Date(),
    ...order,
  })
const read = (path: string) => readFileSync(join(folder, path), 'utf8')
const modeOf = (path: string) => statSync(join(folder, path)).mode & 0o777

const KEPT = [
  'secrets/ca/root.key',
  'secrets/ca/ca.key',
  'secrets/audit-signing.key',
  'secrets/web.key',
  'secrets/passwords/postgres-admin',
  'secrets/passwords/postgres-audit',
  'secrets/settings/policy.yaml',
  'secrets/nats-server.conf',
  '.env',
]

test('a second run changes no key and no password, and remembers the names', async () => {
  await prepare({ domains: ['postern.example.test'], addressing: 'host' })
  const before = KEPT.map(read)
  const { domain } = await prepare()
  expect(KEPT.map(read)).toEqual(before)
  expect(domain).toBe('postern.example.test')
  expect(read('.env')).toContain('POSTERN_COMPOSE_ADDRESSING=host')
})

test('two installations share no password and no key', async () => {
  await prepare({ dir: join(folder, 'one'), envFile: join(folder, 'one.env') })
  await prepare({ dir: join(folder, 'two'), envFile: join(folder, 'two.env') })
  const secretsIn = (name: string) => [
    ...readdirSync(join(folder, name, 'passwords')).map((file) =>
      read(`${name}/passwords/${file}`),
    ),
    ...['ca/ca.key', 'ca/root.key', 'audit-signing.key', 'web.key'].map((file) =>
      read(`${name}/${file}`),
    ),
  ]
  const both = [...secretsIn('one'), ...secretsIn('two')]
  expect(both.length).toBeGreaterThanOrEqual(30)
  expect(new Set(both).size).toBe(both.length)
})

test('the folder lets nobody else in, and the root key is readable by its owner alone', async () => {
  await prepare()
  expect(modeOf('secrets')).toBe(0o700)
  expect(modeOf('secrets/ca/root.key')).toBe(0o600)
  await prepare()
  expect(modeOf('secrets')).toBe(0o700)
})

test("a container's user can read what is mounted, and renew the certificate of its part", async () => {
  await prepare()
  const mounted = ['ca/ca.key', 'web.key', 'settings/audit.yaml', 'passwords/postgres-admin']
  expect(mounted.map((path) => modeOf(`secrets/${path}`))).toEqual([0o644, 0o644, 0o644, 0o644])
  expect(modeOf('secrets/tls/policy')).toBe(0o777)
})

test('an expired certificate of a part is issued again by the same authority', async () => {
  await prepare({ now: new Date(Date.now() - 3 * DAY_MS) })
  const expired = new X509Certificate(read('secrets/tls/policy/tls.crt'))
  expect(Date.parse(expired.validTo)).toBeLessThan(Date.now())
  writeFileSync(join(folder, 'secrets/tls/policy/tls.key.next'), 'left by a part that died')
  await prepare()
  const fresh = new X509Certificate(read('secrets/tls/policy/tls.crt'))
  expect(Date.parse(fresh.validTo)).toBeGreaterThan(Date.now())
  const authority = new X509Certificate(read('secrets/ca/ca.crt'))
  expect(fresh.verify(authority.publicKey)).toBe(true)
  expect(existsSync(join(folder, 'secrets/tls/policy/tls.key.next'))).toBe(false)
})

test('an authority that ends soon is renewed below the same root, while the root key is there', async () => {
  await prepare()
  const [roots, authority] = [read('secrets/ca/roots.crt'), read('secrets/ca/ca.crt')]
  await prepare({ now: new Date(Date.now() + 200 * DAY_MS) })
  expect(read('secrets/ca/ca.crt')).toBe(authority)
  const late = new Date(Date.now() + 320 * DAY_MS)
  await prepare({ now: late })
  const renewed = new X509Certificate(read('secrets/ca/ca.crt'))
  expect(read('secrets/ca/roots.crt')).toBe(roots)
  expect(renewed.verify(new X509Certificate(roots).publicKey)).toBe(true)
  expect(Date.parse(renewed.validTo) - late.getTime()).toBeGreaterThan(300 * DAY_MS)

  rmSync(join(folder, 'secrets/ca/root.key'))
  await prepare({ now: new Date(late.getTime() + 320 * DAY_MS) })
  const tooLate = new Date(late.getTime() + 400 * DAY_MS)
  await expect(prepare({ now: tooLate })).rejects.toThrow('put the root key back')
})

test('a new name gets a new web certificate; one that ends soon does too', async () => {
  await prepare({ domains: ['one.test'] })
  const first = read('secrets/web.crt')
  await prepare({ domains: ['two.test', 'one.test'] })
  const second = new X509Certificate(read('secrets/web.crt'))
  expect(second.checkHost('dev.two.test')).toBeDefined()
  expect(read('secrets/web.crt')).not.toBe(first)
  const later = new Date(Date.now() + 340 * DAY_MS)
  await prepare({ now: later })
  const third = new X509Certificate(read('secrets/web.crt'))
  expect(Date.parse(third.validTo) - later.getTime()).toBeGreaterThan(300 * DAY_MS)
})

test('a web certificate of your own is never replaced, only spoken about', async () => {
  await prepare({ domains: ['one.test'] })
  // Any certificate that another authority issued stands for one from outside.
  const foreign = read('secrets/ca/ca.crt')
  writeFileSync(join(folder, 'secrets/web.crt'), foreign)
  const { notes } = await prepare({ domains: ['two.test'] })
  expect(read('secrets/web.crt')).toBe(foreign)
  expect(notes.join('\n')).toContain('left your own web certificate alone')
  expect(notes.join('\n')).toContain('not for two.test')
})

test.each(['', 'UPPER.test', 'a b', '-x.test', '127.0.0.1', '*.test', 'a..b', 'x.test:8443'])(
  'the name "%s" is refused, and nothing is written',
  async (name) => {
    await expect(prepare({ domains: [name] })).rejects.toThrow('is not a DNS name')
    expect(existsSync(join(folder, 'secrets'))).toBe(false)
    expect(existsSync(join(folder, '.env'))).toBe(false)
  },
)

test('an unknown way of addressing is refused', async () => {
  await expect(prepare({ addressing: 'subdomain' })).rejects.toThrow('"host" or "path"')
})
