import { deepStrictEqual, ok } from 'node:assert/strict'
import type { Reply } from './client.ts'
import type { RecordingWorld } from './recording/recording-world.ts'

/** It was refused with one of these, and nothing of it arrived. */
export function expectRefused(
  world: RecordingWorld,
  reply: Reply,
  ...statuses: readonly number[]
): void {
  expectStatus(reply, ...statuses)
  expectNothingArrived(world)
}

export function expectStatus(reply: Reply, ...statuses: readonly number[]): void {
  const said = `${reply.status}: ${reply.text.slice(0, 500)}`
  ok(statuses.includes(reply.status), `expected ${statuses.join(' or ')}, got ${said}`)
}

export function expectNothingArrived({ api }: RecordingWorld): void {
  const came = api.arrived.map(({ method, target }) => `${method} ${target}`)
  deepStrictEqual([...came, ...api.malformed], [], 'nothing may arrive')
}

/** That there is one, and it is so. */
export function expectMatch(text: string, pattern: RegExp): void {
  ok(pattern.test(text), `${pattern.source} is not in: ${text.slice(0, 1000)}`)
}
