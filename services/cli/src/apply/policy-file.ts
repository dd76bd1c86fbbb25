import { type Document, parseAllDocuments } from 'yaml'
import type { Json } from '../api.ts'
import { CliError, EXIT } from '../exit-code.ts'

/** What a file of `postern apply -f` asks for: roles and grants, by name. */
export type PolicyDocument = {
  readonly kind: 'Role' | 'Grant'
  readonly name: string
  /** The rest, as the API takes it. */
  readonly spec: Json
}

const DOCUMENTS_MAX = 1000
const BYTES_MAX = 4 * 1024 * 1024

/**
 * Reads a stream of YAML (or JSON) documents: `kind: Role` with `name`, `description` and `rules`, or
 * `kind: Grant` with `name` and `terms`. The API checks the rest.
 *
 * @throws CliError that says which document is wrong, and why
 */
export function parsePolicyFile(text: string): PolicyDocument[] {
  if (text.length > BYTES_MAX) throw new CliError(EXIT.usage, 'the file has more than 4 MiB')
  const parsed = parseAllDocuments(text, { uniqueKeys: true })
  const documents = Array.isArray(parsed) ? parsed : []
  if (documents.length > DOCUMENTS_MAX) {
    throw new CliError(EXIT.usage, `the file has more than ${DOCUMENTS_MAX} documents`)
  }
  const found: PolicyDocument[] = []
  for (const [index, document] of documents.entries()) {
    const where = `document ${index + 1}`
    const [error] = document.errors
    if (error !== undefined) throw new CliError(EXIT.usage, `${where}: ${error.message}`)
    const value = plainValue(document, where)
    if (value !== null) found.push(parseDocument(value, where))
  }
  const names = found.map(({ kind, name }) => `${kind} ${name}`)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new CliError(EXIT.usage, `the file has ${twice} twice`)
  return found
}

function plainValue(document: Document, where: string): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 })
  } catch {
    // A few aliases of aliases are a file of gigabytes.
    throw new CliError(EXIT.usage, `${where}: YAML aliases are not taken; write it out`)
  }
}

const FIELDS = {
  Role: ['description', 'rules'],
  Grant: ['terms'],
} as const

function parseDocument(value: unknown, where: string): PolicyDocument {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new CliError(EXIT.usage, `${where} is not an object`)
  }
  const { kind, name, ...spec }: Json = Object.fromEntries(Object.entries(value))
  if (kind !== 'Role' && kind !== 'Grant') {
    throw new CliError(EXIT.usage, `${where}: kind is Role or Grant`)
  }
  if (typeof name !== 'string' || name === '') {
    throw new CliError(EXIT.usage, `${where}: a ${kind} needs a name`)
  }
  const allowed: readonly string[] = FIELDS[kind]
  const unknown = Object.keys(spec).find((field) => !allowed.includes(field))
  if (unknown !== undefined) {
    throw new CliError(EXIT.usage, `${where}: a ${kind} has no field "${unknown}"`)
  }
  return { kind, name, spec }
}
