import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { Secret } from './secret.ts'

/** An environment: `process.env`, or an object that stands for it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** The settings cannot be used. The message names each setting and says what to do. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly problems: readonly string[]

  /** `whose`: a service, or a file. */
  constructor(whose: string, problems: readonly string[], options?: ErrorOptions) {
    super(
      `${whose} cannot use its settings:\n${problems.map((text) => `  ${text}`).join('\n')}`,
      options,
    )
    this.problems = problems
  }
}

export type ParseSettingsOptions = {
  /** "POSTERN_SESSION_": the key `idleSeconds` is then the setting POSTERN_SESSION_IDLE_SECONDS. */
  readonly prefix: string
  /** Names with this prefix that are read elsewhere, and may be what a misspelt one meant. */
  readonly elsewhere?: ReadonlySet<string>
  /** Whether someone else altogether reads the name: other services, tests. */
  readonly isForeign?: (name: string) => boolean
}

const CONFIG_FILE = 'POSTERN_CONFIG_FILE'
const CONFIG_BYTES_MAX = 1024 * 1024
const SECRET_NAME = /(SECRET|PASSWORD|TOKEN|KEY)$/

/**
 * Reads what the schema asks for from the environment and, below it, from the YAML file that
 * POSTERN_CONFIG_FILE names: a flat map of the same names. Values are text to the schema, so numbers
 * are `z.coerce.number()` and booleans `z.stringbool()`; an empty text counts as not given.
 * Schema keys are camelCase; an absent key takes the schema's default.
 *
 * @throws SettingsError for unknown names under the prefix, and for everything the schema refuses
 */
export function parseSettings<Config>(
  schema: z.ZodType<Config>,
  env: Environment,
  options: ParseSettingsOptions,
): Readonly<Config> {
  const given = { ...readFile(env), ...nonEmpty(env) }
  const names = namesOf(schema, options.prefix)
  const problems = [
    ...unknownNames(Object.keys(given), names, options),
    ...emptySecrets(env, names),
  ]

  const input: Record<string, string> = {}
  for (const [name, key] of names) {
    const value = given[name]
    if (value !== undefined) input[key] = value
  }
  const parsed = schema.safeParse(input)
  if (!parsed.success) problems.push(...toProblems(parsed.error, options.prefix, given))
  if (problems.length > 0 || !parsed.success) {
    throw new SettingsError(`${options.prefix}*`, problems)
  }
  return Object.freeze(parsed.data)
}

/** "idleSeconds" → "IDLE_SECONDS". */
export function toSettingName(key: string): string {
  return key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()
}

/** What may be printed: secrets do not come out. */
export function redacted(config: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(config).map(([key, value]: [string, unknown]) => [
      key,
      value instanceof Secret ? value.toString() : value,
    ]),
  )
}

/** Setting name to schema key. */
function namesOf(schema: unknown, prefix: string): ReadonlyMap<string, string> {
  if (schema instanceof z.ZodPipe) return namesOf(schema.in, prefix)
  if (!(schema instanceof z.ZodObject)) throw new Error('the schema of settings must be an object')
  return new Map(Object.keys(schema.shape).map((key) => [prefix + toSettingName(key), key]))
}

function emptySecrets(env: Environment, known: ReadonlyMap<string, string>): string[] {
  return [...known.keys()]
    .filter((name) => env[name] === '' && SECRET_NAME.test(name))
    .map((name) => `${name} is empty: a secret must have a value`)
}

function unknownNames(
  given: readonly string[],
  known: ReadonlyMap<string, string>,
  { prefix, elsewhere = new Set(), isForeign }: ParseSettingsOptions,
): string[] {
  const names = new Set([...known.keys(), ...elsewhere, CONFIG_FILE])
  return given
    .filter((name) => name.startsWith(prefix) && !names.has(name) && isForeign?.(name) !== true)
    .map((name) => `${name} is not a setting${hintFor(name, names)}`)
}

function hintFor(name: string, known: ReadonlySet<string>): string {
  const [nearest] = [...known]
    .map((candidate) => ({ candidate, distance: editDistance(name, candidate) }))
    .toSorted((left, right) => left.distance - right.distance)
  if (nearest !== undefined && nearest.distance <= 4) return `; did you mean ${nearest.candidate}?`
  return '; remove it, or see the README for the names'
}

function toProblems(
  error: z.ZodError,
  prefix: string,
  given: Readonly<Record<string, string>>,
): string[] {
  return error.issues.map(({ path, message }) => {
    const [key] = path
    if (typeof key !== 'string') return message
    const name = prefix + toSettingName(key)
    return given[name] === undefined ? `${name} must be set (${message})` : `${name}: ${message}`
  })
}

function nonEmpty(env: Environment): Record<string, string> {
  const entries = Object.entries(env).flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [[name, value] as const],
  )
  return Object.fromEntries(entries)
}

function readFile(env: Environment): Record<string, string> {
  const { [CONFIG_FILE]: file } = env
  if (file === undefined || file === '') return {}
  const parsed = parseFile(file)
  if (parsed === null) return {}
  if (typeof parsed !== 'object' || Array.isArray(parsed)) {
    throw new SettingsError(file, ['must be a map of setting names to values'])
  }
  return Object.fromEntries(
    Object.entries(parsed).map(([name, value]: [string, unknown]) => [
      name,
      toText(file, name, value),
    ]),
  )
}

function parseFile(file: string): unknown {
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length > CONFIG_BYTES_MAX) throw new Error('the file is larger than 1 MiB')
    return parseYaml(text, { maxAliasCount: 0 })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SettingsError(file, [`${CONFIG_FILE} cannot be read: ${why}`], { cause })
  }
}

function toText(file: string, name: string, value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw new SettingsError(file, [`${name} must be a text, a number or a boolean`])
}

/** Levenshtein. Names are short. */
function editDistance(left: string, right: string): number {
  let row = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let i = 0; i < left.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < right.length; j++) {
      const replace = (row[j] ?? 0) + (left[i] === right[j] ? 0 : 1)
      next.push(Math.min(replace, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
