import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type AuditEvent, searchableText } from './audit-event.ts'
import { fieldsWanted, matches, type RecordFilter } from './record-filter.ts'
import { entriesAt, termsOf, termsWanted } from './record-terms.ts'

const event: AuditEvent = {
  auditId: '01a22b96-e0a1-7472-ab71-b8dd39661765',
  stage: 'ResponseComplete',
  user: 'lead',
  cluster: 'prod-1',
  namespace: '',
  verb: 'get',
  resource: 'pods',
  subresource: '',
  decision: 'allow',
  receivedAt: '2026-11-21T09:30:00.123456Z',
}
const nothing: RecordFilter = {
  user: '',
  cluster: '',
  namespace: '',
  verb: '',
  resource: '',
  decision: '',
  since: undefined,
  until: undefined,
  auditId: '',
  openOnly: false,
}

test('a block has each value once with where it is, and nothing for what is empty', () => {
  const entries = [0, 1022, 1023, 1024].map((idx) => ({
    idx,
    event: { ...event, verb: `v${idx % 2}` },
  }))
  const terms = termsOf([{ idx: 1, event: undefined }, ...entries])
  const found = terms.map((term) =>
    [term.name, term.value, term.block, ...entriesAt(term)].join(' '),
  )
  const everywhere = ['user lead', 'cluster prod-1', 'resource pods', 'decision allow']
  const all = [...everywhere, 'auditId 01a22b96-e0'].flatMap((each) => [
    `${each} 0 0 1022 1023`,
    `${each} 1 1024`,
  ])
  const verbs = ['verb v0 0 0 1022', 'verb v1 0 1023', 'verb v0 1 1024']
  expect(found.toSorted()).toEqual([...all, ...verbs].toSorted())
})

const text = fc.oneof(
  fc.constantFrom('', 'lead', 'pods', 'x\0', '\ud83d'),
  fc.string({ unit: 'binary' }),
)
const stored = text.map(searchableText)

test('whatever a record has, it is among those that have what is looked for in it', () => {
  const fields = {
    auditId: stored,
    user: stored,
    cluster: stored,
    namespace: stored,
    verb: stored,
    resource: stored,
    subresource: stored,
  }
  const asked = fc.record({
    user: fc.boolean(),
    cluster: fc.boolean(),
    namespace: fc.boolean(),
    verb: fc.boolean(),
    auditId: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.record(fields), asked, (found, isAsked) => {
      const asIn = (name: keyof typeof isAsked) => (isAsked[name] ? found[name] : '')
      const filter = {
        ...nothing,
        user: asIn('user'),
        cluster: asIn('cluster'),
        namespace: asIn('namespace'),
        verb: asIn('verb'),
        auditId: asIn('auditId'),
      }
      const record = { event: { ...event, ...found }, receivedAt: '' }
      const wanted = fieldsWanted(filter)
      expect(matches(record, wanted, filter)).toBe(true)
      const has = termsOf([{ idx: 300, event: record.event }])
      for (const { name, value } of termsWanted(wanted)) {
        const term = has.find((each) => each.name === name && each.value === value)
        expect(term && entriesAt(term)).toEqual([300])
      }
    }),
  )
})

test('who looks for pods does not look for pods/exec, and who looks for everything finds what has no event', () => {
  const exec = { event: { ...event, subresource: 'exec' }, receivedAt: '' }
  const pods = { event, receivedAt: '' }
  const found = (resource: string, record: typeof exec) =>
    matches(record, fieldsWanted({ ...nothing, resource }), nothing)
  expect([found('pods', pods), found('pods', exec)]).toEqual([true, false])
  expect([found('pods/exec', pods), found('pods/exec', exec)]).toEqual([false, true])
  const standIn = { event: undefined, receivedAt: '' }
  expect(matches(standIn, fieldsWanted(nothing), nothing)).toBe(true)
  expect(matches(standIn, fieldsWanted({ ...nothing, resource: 'pods' }), nothing)).toBe(false)
})
