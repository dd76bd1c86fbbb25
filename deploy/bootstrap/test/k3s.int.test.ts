import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { startK3s } from '../src/demo/k3s.ts'

// What a Docker client is asked. A script stands for it: it notes its arguments and answers as Docker
// and k3s do, with the container there or not.
const DOCKER = `#!/bin/sh
echo "$*" >> "$FOLDER/asked"
case "$1 $3 $4" in
  'ps '*) [ -e "$FOLDER/container" ] && echo 0123456789ab ;;
  'run '*) echo made > "$FOLDER/container" ;;
  'port '*) echo 127.0.0.1:32768 ;;
  'exec cat '*) echo 'server: https://127.0.0.1:6443' ;;
  'rm '*) [ -e "$FOLDER/container" ] || { echo 'no such container' >&2; exit 1; } ;;
esac
exit 0
`

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-k3s-'))
  writeFileSync(join(folder, 'docker'), DOCKER, { mode: 0o755 })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const start = (fresh = false) =>
  startK3s({
    dir: join(folder, 'data'),
    fresh,
    env: { PATH: `${folder}:/usr/bin:/bin`, FOLDER: folder },
  })
const asked = () => readFileSync(join(folder, 'asked'), 'utf8').trimEnd().split('\n')

test('a container is made that only this machine reaches, and its kubeconfig says where', async () => {
  const k3s = await start()
  const [, run = ''] = asked()
  expect(run).toMatch(/^run --name postern-demo-[0-9a-f]{12} --detach --privileged /)
  expect(run).toContain(' --publish 127.0.0.1::6443 rancher/k3s:v')
  expect(run).toContain(' server --disable=')
  expect(readFileSync(k3s.kubeconfig, 'utf8')).toBe('server: https://127.0.0.1:32768')
  expect(statSync(k3s.kubeconfig).mode & 0o077).toBe(0)
})

test('the container is stopped at the end, and started again the next time', async () => {
  const k3s = await start()
  await k3s.stop()
  expect(asked().at(-1)).toMatch(/^stop postern-demo-/)
  rmSync(join(folder, 'asked'))
  await start()
  expect(asked().filter((line) => line.startsWith('run '))).toEqual([])
  expect(asked()[1]).toMatch(/^start postern-demo-/)
})

test('a fresh start forgets the container and its volumes, also where there is none', async () => {
  await start(true)
  expect(asked()[0]).toMatch(/^rm --force --volumes postern-demo-/)
  expect(asked().some((line) => line.startsWith('run '))).toBe(true)
})
