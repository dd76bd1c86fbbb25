// Keeps this release's history: node --conditions=@postern/source services/tunnel-broker/test/write-history.ts <release>
import { writeFile } from 'node:fs/promises'
import { history } from './history.ts'
import { record } from './recorded-history.ts'

const [, , release = ''] = process.argv
if (!/^[0-9.]+$/.test(release)) throw new Error('name the release: 0.1.0')
const file = new URL(`../../../test/replay/tunnel-broker/${release}.json`, import.meta.url)
// A history that was released is never written again.
await writeFile(file, `${JSON.stringify(record(history), null, 2)}\n`, { flag: 'wx' })
