import { until } from '@postern/fixtures'
import { afterEach, expect, test } from 'vitest'
import { ADMIN } from './fake-services.ts'
import { type RunningConsole, runConsole } from './running-console.ts'

let console: RunningConsole

afterEach(async () => {
  await console.stop()
})

test('what is not HTTP gets an answer and the door', async () => {
  console = await runConsole()
  for (const text of [
    'GARBAGE\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`,
    'GET /v1/whoami HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer x\r\n\r\n',
  ]) {
    const answer = await console.say(text)
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('application/problem+json')
  }
  expect(console.services.arrived).toEqual([])
})

test('a service that cannot be reached is said to be so, in time', async () => {
  console = await runConsole()
  await console.services.stopOne('policy')
  const answer = await console.ask('GET', '/v1/roles', { token: ADMIN })
  expect(answer).toMatchObject({ status: 503, json: { title: 'Service Unavailable' } })
  // The others go on.
  expect((await console.ask('GET', '/v1/users', { token: ADMIN })).status).toBe(200)
})

test('each address may make so many requests in a minute, also of calls that there are not', async () => {
  console = await runConsole({ POSTERN_CONSOLE_REQUESTS_PER_MINUTE: '5' })
  const statuses: number[] = []
  for (const path of ['/v1/whoami', '/nothing', '/openapi.json', '/v1/users', '/v1/roles']) {
    statuses.push((await console.ask('GET', path, { token: ADMIN })).status)
  }
  expect(statuses).not.toContain(429)
  for (const path of ['/v1/whoami', '/nothing', '/openapi.json']) {
    const refused = await console.ask('GET', path, { token: ADMIN })
    expect(refused).toMatchObject({ status: 429, json: { title: 'Too Many Requests' } })
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
  }
})

test('a certificate that is replaced is shown to new connections, without a restart', async () => {
  console = await runConsole()
  const before = await console.shownCertificate()
  expect((await console.ask('GET', '/openapi.json')).status).toBe(200)
  const [next, other] = [await console.newCertificate(), await console.newCertificate()]
  // A key of another certificate, as when only one of the files was written yet.
  await console.useCertificate({ cert: next.cert, key: other.key })
  const complaints = () => console.log.records.filter(({ level }) => level === 'warn')
  await until(async () => complaints().length > 0)
  expect(complaints()).toMatchObject([{ message: expect.stringContaining('cannot be used') }])
  expect((await console.shownCertificate()).fingerprint256).toBe(before.fingerprint256)

  await console.useCertificate(next)
  await until(
    async () => (await console.shownCertificate()).fingerprint256 !== before.fingerprint256,
  )
  // A connection that was open goes on.
  expect((await console.ask('GET', '/openapi.json')).status).toBe(200)
})

test('it does not start on files that are no certificate and its key', async () => {
  await expect(runConsole({ POSTERN_CONSOLE_TLS_KEY_FILE: '/dev/null' })).rejects.toThrow(
    'console cannot start',
  )
  await expect(runConsole({ POSTERN_CONSOLE_GATEWAY_CA_FILE: '/does/not/exist' })).rejects.toThrow(
    'console cannot start',
  )
  await expect(runConsole({ POSTERN_CONSOLE_GATEWAY_URL: 'http://x' })).rejects.toThrow(
    /GATEWAY_URL/,
  )
  console = await runConsole()
})

test('a request under way is answered before it stops, and none is taken after', async () => {
  console = await runConsole()
  let release = () => {}
  const reached = new Promise<void>((resolve) => {
    console.services.answer(async () => {
      resolve()
      await new Promise<void>((end) => {
        release = end
      })
      return { userName: 'root' }
    })
  })
  const under = console.ask('GET', '/v1/whoami', { token: ADMIN })
  await reached
  const stopped = console.stopService()
  await until(async () => {
    const answer = await console.ask('GET', '/openapi.json').catch(() => undefined)
    return answer === undefined || answer.status === 503
  })
  release()
  expect(await under).toMatchObject({ status: 200, json: { userName: 'root' } })
  await stopped
  await expect(console.ask('GET', '/openapi.json')).rejects.toThrow(/ECONN|hang up/)
})
