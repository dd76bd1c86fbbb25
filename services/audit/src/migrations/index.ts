import type { Migration } from 'kysely/migration'
import { log } from './0001-log.ts'
import { search } from './0002-search.ts'
import { producers } from './0003-producers.ts'
import { openIntents } from './0004-open-intents.ts'
import { terms } from './0005-terms.ts'
import { bundles } from './0006-bundles.ts'
import { fullBlocks } from './0007-full-blocks.ts'

/** Forward only, in the order of their names. */
export const migrations: Readonly<Record<string, Migration>> = {
  '0001-log': log,
  '0002-search': search,
  '0003-producers': producers,
  '0004-open-intents': openIntents,
  '0005-terms': terms,
  '0006-bundles': bundles,
  '0007-full-blocks': fullBlocks,
}
