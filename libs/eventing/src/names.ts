/** The PostgreSQL schema of a service: "tunnel_broker" for "tunnel-broker". */
export function schemaOf(service: string): string {
  if (!/^[a-z][a-z0-9-]{0,40}$/.test(service)) {
    throw new Error(`"${service}" is not a service's name`)
  }
  return service.replaceAll('-', '_')
}

/** What a service's log is called on the bus and in PostgreSQL. */
export function namesOf(service: string) {
  return {
    stream: `EVT_${service.toUpperCase().replaceAll('-', '_')}`,
    subjects: `postern.evt.${service}.>`,
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
