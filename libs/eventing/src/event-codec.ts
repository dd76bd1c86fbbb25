import type { EncodedEvent } from './codec.ts'

/** What is used of a message that ts-proto made. */
type Message = {
  encode(message: object): { finish(): Uint8Array }
  decode(input: Uint8Array): object
  create(): object
}
type Messages = Readonly<Record<string, Message>>
type FieldsOf<M> = M extends { decode(input: Uint8Array): infer Fields } ? Fields : never
type Leaf = string | number | boolean | bigint

/** What may be encoded: any kind of bytes, read-only arrays. */
type Given<T> = T extends Uint8Array
  ? Uint8Array
  : T extends Leaf | undefined
    ? T
    : T extends readonly (infer Item)[]
      ? readonly Given<Item>[]
      : { readonly [Key in keyof T]: Given<T[Key]> }

/**
 * What comes out: an absent field has no key, and a message field without `optional` is there, for what
 * was encoded had it. A message field that is added to an event later must therefore be `optional`.
 */
type Present<T> = T extends Leaf | Uint8Array
  ? T
  : T extends readonly (infer Item)[]
    ? Present<Item>[]
    : { [Key in keyof T]: Present<Exclude<T[Key], undefined>> }

type EventsIn<M extends Messages> = {
  [Name in keyof M & string]: { readonly type: Name } & Given<FieldsOf<M[Name]>>
}[keyof M & string]

type EventsOut<M extends Messages> = {
  [Name in keyof M & string]: { readonly type: Name } & Present<FieldsOf<M[Name]>>
}[keyof M & string]

const SCHEMA_VER = 1

/** Reads an old shape as an event of today. Pure, and never changed once it was released. */
export function upcast<Old, Event>(
  old: { decode(input: Uint8Array): Old },
  convert: (fields: Old) => Event,
): (data: Uint8Array) => Event {
  return (data) => convert(old.decode(data))
}

/**
 * The codec of a service's events: `messages` by event name, as ts-proto made them. Assigned to an
 * `EventCodec<GrantEvent>`, TypeScript proves the domain events equal to their messages.
 *
 * `upcasters` read what is no longer written, by full name: "postern.policy.events.v1.GrantGiven".
 */
export function eventCodec<const M extends Messages>(
  packageName: string,
  messages: M,
  options: {
    readonly upcasters?: Readonly<Record<string, (data: Uint8Array) => EventsOut<NoInfer<M>>>>
  } = {},
): {
  readonly encode: (event: EventsIn<M>) => EncodedEvent
  readonly decode: (encoded: EncodedEvent) => EventsOut<M> | undefined
} {
  const upcasters = new Map(Object.entries(options.upcasters ?? {}))
  const current = new Map(
    Object.entries<Message>(messages).map(([name, message]) => [
      name,
      { message, fields: new Set(Object.keys(message.create())) },
    ]),
  )
  const prefix = `${packageName}.`
  return {
    encode(event) {
      const { type, ...fields } = event
      const known = current.get(type)
      if (known === undefined) throw new Error(`the codec of ${packageName} has no event ${type}`)
      // Without this check an optional field that the message lacks would be lost without a word.
      const stray = Object.keys(fields).find((field) => !known.fields.has(field))
      if (stray !== undefined) throw new Error(`${packageName}.${type} has no field ${stray}`)
      const data = known.message.encode(fields).finish()
      return { type: prefix + type, schemaVer: SCHEMA_VER, data }
    },
    decode({ type, data }) {
      const old = upcasters.get(type)
      if (old !== undefined) return old(data)
      if (!type.startsWith(prefix)) return undefined
      const name = type.slice(prefix.length)
      const known = current.get(name)
      if (known === undefined) return undefined
      const event = { type: name, ...present(known.message.decode(data)) }
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- this is the parser: the message of that name was decoded
      return event as EventsOut<M>
    },
  }
}

/** The same without keys whose value is undefined. */
function present(fields: object): object {
  return Object.fromEntries(
    Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, presentValue(value)]),
  )
}

function presentValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(presentValue)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  return present(value)
}
