import { parse } from 'yaml'
import { z } from 'zod'

const DEFAULTED = /^\$\{([A-Z_]+):-([^}]*)\}/
const REQUIRED = /^\$\{([A-Z_]+):\?([^}]*)\}/

/** What docker compose does with ${NAME:-default} and ${NAME:?message}; other forms are not used. */
function interpolate(text: string, variables: Readonly<Record<string, string>>): string {
  return text.replace(/\$[^\n]*/g, (rest) => interpolateFirst(rest, variables))
}

function interpolateFirst(rest: string, variables: Readonly<Record<string, string>>): string {
  const [whole, name = '', other = ''] = DEFAULTED.exec(rest) ?? REQUIRED.exec(rest) ?? []
  if (whole === undefined) throw new Error(`only \${A:-b} and \${A:?b} are used here: ${rest}`)
  const value = variables[name] ?? ''
  if (value === '' && REQUIRED.test(rest)) throw new Error(`${name} is missing: ${other}`)
  return (value === '' ? other : value) + interpolate(rest.slice(whole.length), variables)
}

/** Names of the variables that have a default. */
export function defaultedIn(text: string): string[] {
  return [...new Set([...text.matchAll(/\$\{([A-Z_]+):-/g)].map(([, name]) => name ?? ''))]
}

const text = z.string()
const secretMount = z.union([
  text.transform((source) => ({ source, target: `/run/secrets/${source}` })),
  z.strictObject({ source: text, target: text }).transform(({ source, target }) => ({
    source,
    target: target.startsWith('/') ? target : `/run/secrets/${target}`,
  })),
])
const volumeMount = z.union([
  text.transform((short) => {
    const [source = '', target = ''] = short.split(':')
    return { type: 'volume', source, target }
  }),
  z.strictObject({
    type: z.literal('bind'),
    source: text,
    target: text,
    bind: z.strictObject({ create_host_path: z.literal(false) }),
  }),
])
const condition = z.enum(['service_started', 'service_healthy', 'service_completed_successfully'])

/** The part of the compose specification that docker-compose.yml uses; nothing else is accepted. */
const service = z.strictObject({
  image: text,
  build: z.strictObject({ context: text, dockerfile: text, target: text }).optional(),
  user: z.string().regex(/^\d+:\d+$/),
  restart: z.enum(['no', 'unless-stopped']),
  read_only: z.literal(true),
  cap_drop: z.tuple([z.literal('ALL')]),
  security_opt: z.tuple([z.literal('no-new-privileges:true')]),
  pids_limit: z.number(),
  mem_limit: text.optional(),
  shm_size: text.optional(),
  stop_grace_period: text.optional(),
  logging: z.strictObject({
    driver: text,
    options: z.strictObject({ 'max-size': text, 'max-file': text }),
  }),
  command: z.array(text).optional(),
  environment: z.record(text, text).default({}),
  secrets: z.array(secretMount).default([]),
  volumes: z.array(volumeMount).default([]),
  tmpfs: z.array(text).default([]),
  ports: z.array(z.string().regex(/^\d+:\d+$/)).default([]),
  networks: z.array(text),
  depends_on: z.record(text, z.strictObject({ condition })).default({}),
  healthcheck: z
    .strictObject({
      test: z.array(text),
      interval: text,
      timeout: text,
      retries: z.number(),
      start_period: text,
    })
    .optional(),
})

const composeFile = z.strictObject({
  name: text,
  services: z.record(text, service),
  networks: z.record(text, z.strictObject({ internal: z.boolean().default(false) })),
  volumes: z.record(text, z.strictObject({})),
  secrets: z.record(text, z.strictObject({ file: text })),
})

export type ComposeFile = z.output<typeof composeFile>
export type ComposeService = z.output<typeof service>

/** @throws Error when a variable is missing, or something is in it that this project does not use */
export function readComposeFile(
  source: string,
  variables: Readonly<Record<string, string>>,
): ComposeFile {
  const parsed: unknown = parse(interpolate(withoutComments(source), variables), { merge: true })
  if (typeof parsed !== 'object' || parsed === null) throw new Error('not a map')
  const known = Object.entries(parsed).filter(([name]) => !name.startsWith('x-'))
  return composeFile.parse(Object.fromEntries(known))
}

function withoutComments(source: string): string {
  return source.replace(/^\s*#.*$/gm, '')
}
