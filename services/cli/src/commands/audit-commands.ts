import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Command } from 'commander'
import pc from 'picocolors'
import { type Api, type Json, type Query, textOf, toObject, withQuery } from '../api.ts'
import { environment } from '../config.ts'
import { formatOf, say, show, signedIn } from '../context.ts'
import { CliError, EXIT } from '../exit-code.ts'
import type { Column } from '../output/format.ts'
import { printable } from '../output/printable.ts'
import { writePrivateFile } from '../private-file.ts'

const RECORD: readonly Column[] = [
  ['INDEX', (record) => textOf(record['index'])],
  ['TIME', (record) => textOf(eventOf(record)['stageTimestamp'])],
  ['USER', (record) => textOf(toObject(eventOf(record)['user'])['username'])],
  ['CLUSTER', (record) => annotation(record, 'cluster')],
  ['VERB', (record) => textOf(eventOf(record)['verb'])],
  ['OBJECT', (record) => objectOf(eventOf(record))],
  ['STAGE', (record) => textOf(eventOf(record)['stage'])],
  ['CODE', (record) => textOf(toObject(eventOf(record)['responseStatus'])['code'])],
  ['DECISION', (record) => annotation(record, 'decision')],
  ['GRANT', (record) => annotation(record, 'grant')],
]

const POLL_MS = 500
const FAILURES_MAX = 5
const LEAVES_LIMIT = 500

type Filter = {
  user?: string
  cluster?: string
  namespace?: string
  verb?: string
  resource?: string
  decision?: string
  since?: string
}

export function addAuditCommands(program: Command): void {
  const audit = program.command('audit').description('what was done, by whom, through which grant')
  filters(audit.command('list'))
    .description('records, newest first')
    .option('--limit <number>', 'at most this many', '50')
    .option('--open', 'only what was begun and has no outcome yet')
    .action(async (options: Filter & { limit: string; open?: true }, command: Command) => {
      const { limit, open, ...filter } = options
      const pageSize = String(parseNumber(limit))
      const query = { ...filter, pageSize, openOnly: open ? 'true' : undefined }
      const answer = await signedIn().call('GET', withQuery('/v1/audit/records', query))
      show(command, recordsIn(answer), RECORD)
    })
  filters(audit.command('tail'))
    .description('records as they come, until Ctrl-C')
    .option('--from <index>', 'from this place in the log; from now on when left out')
    .action(async (options: Filter & { from?: string }, command: Command) => {
      await tail(signedIn(), options, formatOf(command) === 'table')
    })
  audit
    .command('verify')
    .description(
      'prove that the log holds what was signed, and that nothing was rewritten since the last time',
    )
    .option('--remember <file>', 'where the last checkpoint is kept')
    .action(async ({ remember }: { remember?: string }) => {
      await verify(
        signedIn(),
        remember ?? join(dirname(environment.configFile), 'audit-checkpoint'),
      )
    })
}

function filters(command: Command): Command {
  return command
    .option('--user <name>', 'of this user')
    .option('--cluster <name>', 'on this cluster')
    .option('--namespace <name>', 'in this namespace')
    .option('--verb <verb>', 'get, list, create, …')
    .option('--resource <resource>', 'pods, pods/exec, …')
    .option('--decision <decision>', 'allow or deny')
    .option('--since <time>', 'RFC 3339')
}

async function tail(
  api: Api,
  options: Filter & { from?: string },
  isTable: boolean,
): Promise<void> {
  const { from, ...filter } = options
  let after = from === undefined ? await lastIndex(api) : parseNumber(from) - 1n
  for (let failures = 0; ; ) {
    const query: Query = {
      ...filter,
      ascending: 'true',
      pageSize: '500',
      afterIndex: after < 0n ? undefined : String(after),
    }
    let records: Json[]
    try {
      records = recordsIn(await api.call('GET', withQuery('/v1/audit/records', query)))
      failures = 0
    } catch (error) {
      // Whoever watches wants to go on after a restart, and to know when there is none.
      failures += 1
      const isPassing = error instanceof CliError && error.exitCode === EXIT.unavailable
      if (!isPassing || failures > FAILURES_MAX) throw error
      await setTimeout(POLL_MS * 2 ** failures)
      continue
    }
    for (const record of records) {
      after = BigInt(textOf(record['index']))
      say(isTable ? line(record) : textOf(record['event']))
    }
    if (records.length === 0) await setTimeout(POLL_MS)
  }
}

async function lastIndex(api: Api): Promise<bigint> {
  const [newest] = recordsIn(await api.call('GET', '/v1/audit/records?pageSize=1'))
  return newest === undefined ? -1n : BigInt(textOf(newest['index']))
}

async function verify(api: Api, rememberFile: string): Promise<void> {
  // Only this command needs the cryptography, and every other one starts sooner without.
  const { verifyLog } = await import('@postern/tlog')
  const { checkpoint, verifierKey } = await api.call('GET', '/v1/audit/checkpoint')
  const signed = textOf(checkpoint)
  const verdict = await verifyLog({
    checkpoint: signed,
    remembered: readIfThere(rememberFile),
    verifierKey: textOf(verifierKey),
    leaves: leavesOf(api),
  })
  if (!verdict.ok) throw new CliError(EXIT.refused, `the log does not verify: ${verdict.message}`)
  writePrivateFile(rememberFile, signed)
  say(`${pc.green('verified')}: ${verdict.size} records of ${verdict.origin}, as signed`)
}

async function* leavesOf(api: Api): AsyncGenerator<Uint8Array[]> {
  for (let first = 0; ; ) {
    const query = { first: String(first), limit: String(LEAVES_LIMIT) }
    const { leaves } = await api.call('GET', withQuery('/v1/audit/leaves', query))
    const batch = Array.isArray(leaves)
      ? leaves.map((leaf) => Buffer.from(textOf(leaf), 'base64'))
      : []
    yield batch
    if (batch.length === 0) return
    first += batch.length
  }
}

function parseNumber(text: string): bigint {
  if (!/^\d{1,18}$/.test(text)) throw new CliError(EXIT.usage, `"${text}" is not a number`)
  return BigInt(text)
}

/** A file that is there and cannot be read is no reason to forget what was verified. */
function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new CliError(EXIT.usage, error instanceof Error ? error.message : file)
  }
}

function recordsIn(answer: Json): Json[] {
  const { records } = answer
  return Array.isArray(records) ? records.map(toObject) : []
}

function eventOf(record: Json): Json {
  return toObject(JSON.parse(textOf(record['event'])))
}

function annotation(record: Json, name: string): string {
  return textOf(toObject(eventOf(record)['annotations'])[`postern.dev/${name}`])
}

/** "shop/pods/web/exec", or the path of what is no resource. */
function objectOf(event: Json): string {
  const { namespace, resource, name, subresource } = toObject(event['objectRef'])
  const parts = [namespace, resource, name, subresource].map(textOf).filter((part) => part !== '')
  return parts.length > 0 ? parts.join('/') : textOf(event['requestURI'])
}

function line(record: Json): string {
  return RECORD.map(([, value]) => printable(value(record)))
    .filter((cell) => cell !== '')
    .join('  ')
}
