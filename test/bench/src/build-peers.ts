import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { findProgram } from '@postern/local-servers'
import { environment } from './config.ts'

const BUILD_MS_MAX = 10 * 60_000

/**
 * The one Go program that holds all peers, the upstream and the load: built from its sources, or taken
 * from the tools folder where it was built from the same ones before.
 *
 * @throws Error that says what is missing and how to get it
 */
export function buildPeers(): { program: string; goVersion: string } {
  const { path, toolsDir, peersSourceDir, variables } = environment
  const go = findProgram('go', path, ['/usr/local/go/bin'])
  if (go === undefined) throw new Error('the benchmark needs Go (https://go.dev/dl) for its peers')
  const goVersion = execFileSync(go, ['env', 'GOVERSION'], { encoding: 'utf8' }).trim()
  const hash = createHash('sha256').update(goVersion)
  for (const name of readdirSync(peersSourceDir).sort()) {
    hash.update(name).update(readFileSync(join(peersSourceDir, name)))
  }
  const program = join(toolsDir, `bench-peers-${hash.digest('hex').slice(0, 16)}`)
  if (existsSync(program)) return { program, goVersion }
  mkdirSync(toolsDir, { recursive: true })
  execFileSync(go, ['build', '-trimpath', '-o', program, '.'], {
    cwd: peersSourceDir,
    stdio: 'pipe',
    timeout: BUILD_MS_MAX,
    env: { ...variables, CGO_ENABLED: '0' },
  })
  return { program, goVersion }
}
