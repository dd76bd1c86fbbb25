import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AuditSubject, auditRecord, redactTarget } from './record.ts'
import { RECORD_BYTES_MAX } from './spool-frame.ts'

const at = new Date('2026-05-01T12:00:00.123Z')
const subject: AuditSubject = {
  auditId: 'a1',
  receivedAt: at,
  target: '/api/v1/namespaces/team/pods/web/exec?command=sh&token=hunter2',
  verb: 'get',
  user: { userName: 'alice', userId: 'u1', groups: ['developers'] },
  client: { remoteAddress: '10.0.0.1', userAgent: 'kubectl/v1.35.2' },
  objectRef: {
    resource: 'pods',
    subresource: 'exec',
    namespace: 'team',
    name: 'web',
    apiGroup: '',
    apiVersion: 'v1',
  },
  decision: 'allow',
  annotations: { cluster: 'demo', session: undefined, grant: '' },
  standing: { role: '' },
}

test('AU-01: a record is an audit.k8s.io/v1 Event', () => {
  const response = { code: 101 }
  const record: unknown = JSON.parse(
    auditRecord(subject, { stage: 'ResponseStarted', response }, at),
  )
  expect(record).toEqual({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: 'a1',
    stage: 'ResponseStarted',
    requestURI: '/api/v1/namespaces/team/pods/web/exec?command=sh&token=REDACTED',
    verb: 'get',
    user: { username: 'alice', uid: 'u1', groups: ['developers'] },
    sourceIPs: ['10.0.0.1'],
    userAgent: 'kubectl/v1.35.2',
    objectRef: {
      resource: 'pods',
      namespace: 'team',
      name: 'web',
      apiVersion: 'v1',
      subresource: 'exec',
    },
    responseStatus: { metadata: {}, code: 101 },
    requestReceivedTimestamp: '2026-05-01T12:00:00.123000Z',
    stageTimestamp: '2026-05-01T12:00:00.123000Z',
    annotations: { 'postern.dev/cluster': 'demo', 'postern.dev/decision': 'allow' },
  })
})

test('AU-06: whatever is put in, a record fits the log and is valid JSON', () => {
  const long = fc.string({ unit: 'binary', maxLength: 4_000 }).map((text) => text.repeat(40))
  fc.assert(
    fc.property(
      long,
      long,
      long,
      fc.array(long, { maxLength: 3 }),
      (target, name, agent, groups) => {
        const record = auditRecord(
          {
            ...subject,
            target,
            client: { remoteAddress: '10.0.0.1', userAgent: agent, kubectlCommand: agent },
            user: { userName: name, userId: 'u', groups },
            annotations: { reason: name },
            objectRef: {
              resource: name,
              subresource: name,
              namespace: name,
              name,
              apiGroup: name,
              apiVersion: name,
            },
          },
          { stage: 'ResponseComplete', response: { code: 403, message: name } },
          at,
        )
        expect(Buffer.byteLength(record)).toBeLessThanOrEqual(RECORD_BYTES_MAX)
        expect(JSON.parse(record)).toMatchObject({ kind: 'Event' })
      },
    ),
    { seed: Date.now() & 0x7fffffff, numRuns: 60 },
  )
})

test('a record that had to be cut says so', () => {
  const record = auditRecord(
    { ...subject, target: `/${'x'.repeat(200_000)}` },
    { stage: 'RequestReceived' },
    at,
  )
  expect(JSON.parse(record).annotations['audit.k8s.io/truncated']).toBe('true')
})

test.each([
  { target: '/x?token=abc', shown: '/x?token=REDACTED' },
  { target: '/x?access_token=abc&limit=1', shown: '/x?access_token=REDACTED&limit=1' },
  { target: '/x?a=1&Password=abc', shown: '/x?a=1&Password=REDACTED' },
  { target: '/x?%74oken=abc', shown: '/x?%74oken=REDACTED' },
  { target: '/x?%74oken%zz=abc', shown: '/x?%74oken%zz=REDACTED' },
  { target: '/x?continue=abc&command=token', shown: '/x?continue=abc&command=token' },
])('the secret in $target is not recorded', ({ target, shown }) => {
  expect(redactTarget(target)).toBe(shown)
})

test('whatever characters its texts have, a record says them as they are', () => {
  const text = fc.string({ unit: 'binary', maxLength: 30 })
  fc.assert(
    fc.property(text, text, text, (name, message, agent) => {
      const response = { code: 500, message, reason: name }
      const texts = {
        user: { userName: name, userId: agent, groups: [message, name] },
        client: { remoteAddress: name, userAgent: agent, kubectlCommand: message },
        annotations: { one: message },
      }
      const record = auditRecord(
        { ...subject, ...texts },
        { stage: 'ResponseComplete', response, annotations: { two: agent } },
        at,
      )
      const asWritten = (said: string) => Buffer.from(said).toString()
      const known: unknown = JSON.parse(record)
      expect(known).toMatchObject({
        user: {
          username: asWritten(name),
          uid: asWritten(agent),
          groups: [asWritten(message), asWritten(name)],
        },
        userAgent: asWritten(agent),
        responseStatus: { message: asWritten(message), reason: asWritten(name), code: 500 },
        annotations: {
          ...(message === '' ? {} : { 'postern.dev/one': asWritten(message) }),
          ...(message === '' ? {} : { 'postern.dev/kubectl-command': asWritten(message) }),
          ...(agent === '' ? {} : { 'postern.dev/two': asWritten(agent) }),
        },
      })
    }),
  )
})

test('moments of one second and of the next are told apart', () => {
  for (const time of [
    '2026-05-01T12:00:00.999Z',
    '2026-05-01T12:00:01.000Z',
    '1969-12-31T23:59:59.001Z',
  ]) {
    const record = auditRecord(subject, { stage: 'ResponseComplete' }, new Date(time))
    expect(JSON.parse(record)).toMatchObject({
      stageTimestamp: time.replace('Z', '000Z'),
    })
  }
})
