import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { eventually, type Interruption, printedSteps, runProgram } from '@postern/bootstrap'
import { createClosingStack } from '@postern/lifecycle'
import { createLog } from '@postern/telemetry'
import { createHttp1Client } from '../clients/http1-client.ts'
import { createHttp2Client } from '../clients/http2-client.ts'
import { failedOf, startLoad } from '../clients/load.ts'
import { startReflector } from '../clients/reflector.ts'
import { startActivities } from './activity.ts'
import { clusters, grants, openSessions, sessions } from './coming-and-going.ts'
import { commands, streams } from './kubectl-activities.ts'
import { HELP, type Options, parseOptions } from './options.ts'
import { activitiesTable, findingsTable } from './report.ts'
import { type Sample, sampleOf } from './sample.ts'
import { type ShippedPlatform, SOAK_CLUSTER, startShippedPlatform } from './shipped-platform.ts'
import { furnish, kubeconfigOf, tokenOf } from './users.ts'
import { findingsOf, growthProblems, leftProblems } from './verdict.ts'

const say = (line: string) => void process.stdout.write(`${line}\n`)
const SAMPLE_EVERY_MS = 15_000
const SAY_EVERY = 4
const GONE_MS_MAX = 180_000
/** A query or a timer that is under way at one look is no more at another: what is left is there at each. */
const LEFT_LOOKS_MAX = 20
const LEFT_EVERY_MS = 1_000
const REFLECTORS = 6
/** What is there only because of somebody who uses it. */
const OF_USERS = [
  'postern_gateway_streams',
  'postern_gateway_requests_running',
  'postern_gateway_connections',
  'postern_gateway_spool_records',
  'postern_agent_streams',
  'postern_relay_pairs_waiting',
]

await runProgram(main)

async function main(args: readonly string[], interruption: Interruption): Promise<number> {
  const options = parseOptions(args)
  if (options === undefined) {
    say(HELP)
    return 0
  }
  const dir = mkdtempSync(join(tmpdir(), 'pts-'))
  const log = createLog({ name: 'soak', stream: createWriteStream(join(dir, 'soak.log')) })
  await using closing = createClosingStack({ log, stepMsMax: 40_000 })
  closing.defer('folder', () => rmSync(dir, { recursive: true, force: true }))
  const step = interruption.orStop(printedSteps(say))
  // In its first half, so that the second has none of it.
  const renewedInSeconds = 60 + options.minutes * 12
  const platform = await startShippedPlatform({ dir, renewedInSeconds, step, closing })
  await step('users, roles, grants', () => furnish(platform))
  return await interruption.race(soak(platform, options))
}

async function soak(platform: ShippedPlatform, options: Options): Promise<number> {
  const { parts } = platform
  const lookAtAll = async (minute: number) =>
    new Map(
      await Promise.all(
        parts.map(async (part) => [part.name, await sampleOf(part, minute)] as const),
      ),
    )
  // The tunnel stands, code is loaded, and nobody is there any more.
  await untilAllAreGone(platform)
  const before = await lookAtAll(0)

  const began = performance.now()
  const minute = () => (performance.now() - began) / 60_000
  const use = await startUse(platform)
  const samples: ReadonlyMap<string, Sample>[] = []
  const told = new Set<string>()
  while (minute() < options.minutes) {
    await wait(SAMPLE_EVERY_MS)
    const sample = await lookAtAll(minute())
    samples.push(sample)
    if (samples.length % SAY_EVERY !== 0) continue
    say(progress(minute(), options, sample, use))
    for (const why of use.failures()) {
      if (!told.has(why)) say(`FAILED ${why}`)
      told.add(why)
    }
  }
  const load = loadavg()[0] ?? 0
  await use.stop()
  await untilAllAreGone(platform)
  const leftAt = (sample: ReadonlyMap<string, Sample>) =>
    parts.flatMap(({ name }) => leftProblems(name, at(before, name), at(sample, name)))
  let after = await lookAtAll(minute())
  for (let looks = 1; leftAt(after).length > 0 && looks < LEFT_LOOKS_MAX; looks += 1) {
    await wait(LEFT_EVERY_MS)
    after = await lookAtAll(minute())
  }

  const findings = new Map(
    parts.map(({ name }) => {
      const own = samples.flatMap((sample) => sample.get(name) ?? [])
      return [name, findingsOf(at(before, name), own, at(after, name))] as const
    }),
  )
  const problems = [
    ...[...findings].flatMap(([name, found]) => growthProblems(name, found)),
    ...leftAt(after),
    ...use.failures(),
    ...use.relists().map((why) => `a reflector had to list again: ${why}`),
  ]
  const renewals = platform.renewals()
  say(`\n${findingsTable(findings)}\n\n${activitiesTable(use.done, use.requests())}\n`)
  say(`${renewals} parts renewed their certificate; load of the machine ${load.toFixed(1)}`)
  if (options.json !== undefined) {
    const told = { minutes: options.minutes, load, renewals, problems, findings: [...findings] }
    const all = [before, ...samples, after].map((sample) => Object.fromEntries(sample))
    writeFileSync(
      options.json,
      `${JSON.stringify({ ...told, done: use.done, samples: all }, undefined, 2)}\n`,
    )
  }
  for (const problem of problems) say(`PROBLEM ${problem}`)
  say(problems.length === 0 ? 'flat, and nothing is left' : `${problems.length} problems`)
  return problems.length === 0 ? 0 : 1
}

type Use = Awaited<ReturnType<typeof startUse>>

/** Everybody who uses it. */
async function startUse(platform: ShippedPlatform) {
  const ca = readFileSync(platform.caFile, 'utf8')
  const url = `${platform.gatewayUrl}/clusters/${SOAK_CLUSTER.name}`
  const token = await tokenOf(platform, 'machine')
  const http1 = (keepAlive: boolean) => createHttp1Client({ url, ca, token }, { keepAlive })
  const http2 = () => createHttp2Client({ url, ca, token })
  const pods = '/api/v1/namespaces/soak/pods'
  const reflectors = await Promise.all(
    Array.from({ length: REFLECTORS }, (_, n) =>
      startReflector(n % 2 === 0 ? http1(true) : http2(), '/api/v1/namespaces/soak/configmaps'),
    ),
  )
  const load = startLoad(
    [http1(true), http1(false), http2(), http2()].map((client, n) => ({
      name: `raw ${n}`,
      client,
      order: () => ({ path: pods }),
      pauseMs: 100,
    })),
  )
  const activities = startActivities([
    commands(platform, 'carol', await kubeconfigOf(platform, 'carol')),
    streams(platform, 'dave', await kubeconfigOf(platform, 'dave')),
    sessions(platform, 'erin'),
    grants(platform, 'frank', await tokenOf(platform, 'frank')),
    clusters(platform),
  ])
  return {
    done: activities.done,
    requests: () => load.asked.length,
    relists: () => reflectors.flatMap(({ relists }) => relists),
    failures: () => [
      ...activities.done.flatMap(({ name, failures }) => failures.map((why) => `${name}: ${why}`)),
      ...failedOf(load.asked).map(({ by, status, text }) => `${by}: ${status} ${text}`),
    ],
    async stop() {
      await activities.stop()
      await load.stop()
      for (const reflector of reflectors) reflector.stop()
    },
  }
}

/** Ends every session, and waits until the parts count nothing of users any more. */
async function untilAllAreGone(platform: ShippedPlatform): Promise<void> {
  const { api, kubectl, parts } = platform
  for (const id of await openSessions(api)) await api.call('DELETE', `/v1/sessions/${id}`)
  await eventually('everybody to be gone', GONE_MS_MAX, async () => {
    const open = await openSessions(api)
    if (open.length > 0) throw new Error(`sessions are open: ${open.join(', ')}`)
    const made = await kubectl.ok(
      ['get', 'serviceaccounts,secrets,clusterrolebindings,rolebindings'].concat([
        '-A',
        '-l',
        'postern.dev/session',
        '-o',
        'name',
      ]),
    )
    if (made.trim() !== '') throw new Error(`left in the cluster: ${made}`)
    for (const part of parts) {
      const { gauges } = await sampleOf(part, 0)
      for (const name of OF_USERS) {
        if ((gauges[name] ?? 0) > 0) throw new Error(`${part.name}: ${name} is ${gauges[name]}`)
      }
    }
  })
}

function progress(
  minute: number,
  { minutes }: Options,
  sample: ReadonlyMap<string, Sample>,
  use: Use,
): string {
  const heaps = [...sample].map(
    ([name, { heapBytes }]) => `${name} ${(heapBytes / 1024 / 1024).toFixed(1)}`,
  )
  const turns = use.done.map(({ turns }) => turns).join('/')
  const failed = use.failures().length
  return `minute ${minute.toFixed(0)} of ${minutes}: ${use.requests()} requests, turns ${turns}, ${failed} failed; heaps ${heaps.join(', ')}`
}

function at(sample: ReadonlyMap<string, Sample>, name: string): Sample {
  const found = sample.get(name)
  if (found === undefined) throw new Error(`${name} was not looked at`)
  return found
}
