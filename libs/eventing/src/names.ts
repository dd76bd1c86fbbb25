/** What a service's log is called on the bus and in PostgreSQL. */
export function namesOf(service: string) {
  return {
    stream: `EVT_${service.toUpperCase().replaceAll('-', '_')}`,
    subjects: `postern.evt.${service}.>`,
    hint: `postern.hint.${service}`,
    lease: `postern.lease.${service}`,
    channel: `postern_${service.replaceAll('-', '_')}`,
  }
}

const ENDS_IN_UUID = /^(.+)-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/
const FIRST_HYPHEN = /^([^-]+)-(.+)$/

/** `postern.evt.<service>.<aggregate>.<Event>.<id>` */
export function subjectOf(service: string, stream: string, type: string): string {
  const [, aggregate, id] = ENDS_IN_UUID.exec(stream) ?? FIRST_HYPHEN.exec(stream) ?? []
  const event = type.slice(type.lastIndexOf('.') + 1)
  return [
    'postern',
    'evt',
    service,
    aggregate ?? stream,
    event,
    (id ?? '_').replaceAll('.', '_'),
  ].join('.')
}
