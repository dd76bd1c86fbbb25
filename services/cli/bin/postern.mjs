#!/usr/bin/env node
// Runs the command line from its sources, under the Node of this repository where the one that started
// this is too old to read them.
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const OLDEST = 24

function findNode() {
  if (Number(process.versions.node.split('.')[0]) >= OLDEST) return process.execPath
  try {
    return createRequire(import.meta.url).resolve('node/bin/node')
  } catch {
    process.stderr.write(`postern needs Node ${OLDEST}; this is ${process.versions.node}\n`)
    process.exit(1)
  }
}

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const options = ['--conditions=@postern/source', '--disable-warning=ExperimentalWarning']
const { status, signal } = spawnSync(findNode(), [...options, main, ...process.argv.slice(2)], {
  stdio: 'inherit',
})
process.exitCode = signal === null ? (status ?? 1) : 130
