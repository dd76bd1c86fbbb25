import type { World } from './world.ts'

/** An audit record of Postern: audit.k8s.io/v1 Event with its annotations. */
export type PosternRecord = {
  readonly auditID: string
  readonly stage: string
  readonly verb: string
  readonly requestURI: string
  readonly requestReceivedTimestamp: string
  readonly user: { readonly username?: string }
  readonly objectRef?: {
    readonly resource?: string
    readonly subresource?: string
    readonly namespace?: string
    readonly name?: string
    readonly apiGroup?: string
  }
  readonly responseStatus?: { readonly code?: number }
  readonly annotations: Readonly<Record<string, string>>
}

/** Records by a filter of the command line, oldest first. */
export async function readRecords(
  world: World,
  filter: readonly string[],
): Promise<PosternRecord[]> {
  const text = await world.postern.ok(['audit', 'list', '--limit', '1000', '-o', 'json', ...filter])
  const records: { event: string }[] = JSON.parse(text)
  return records.map(({ event }): PosternRecord => JSON.parse(event)).reverse()
}

export function annotation(record: PosternRecord, name: string): string {
  return record.annotations[`postern.dev/${name}`] ?? ''
}
