// Generates src/ from the .proto files: messages, services, and the descriptors that tell rpc who
// may call what and console which HTTP route is which RPC.
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const source = fileURLToPath(new URL('src/', import.meta.url))
const image = fileURLToPath(new URL('postern.binpb', import.meta.url))
const buf = (...args) => execFileSync('buf', args, { cwd: root, stdio: 'inherit' })

rmSync(source, { recursive: true, force: true })
buf('generate')
buf('build', '-o', image)
const base64 = readFileSync(image).toString('base64')
rmSync(image)
writeFileSync(
  `${source}descriptors.ts`,
  `/** The FileDescriptorSet of every .proto file, with comments and options, encoded. */
export const fileDescriptorSet: Uint8Array = Buffer.from(
  '${base64}',
  'base64',
)
`,
)
