#!/usr/bin/env node
// Runs the command line from its sources, under whatever Node started this.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const options = ['--conditions=@postern/source', '--disable-warning=ExperimentalWarning']
const { status, signal } = spawnSync(
  process.execPath,
  [...options, main, ...process.argv.slice(2)],
  { stdio: 'inherit' },
)
process.exitCode = signal === null ? (status ?? 1) : 130
