import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { environment } from '../config.ts'

/** The version in which a go.mod file requires a module: "v0.33.13". @throws Error where it does not */
export function moduleVersion(modFile: string, module: string): string {
  const found = readFileSync(modFile, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(' '))
    .find(([name]) => name === module)
  if (found?.[1] === undefined) throw new Error(`${modFile} does not require ${module}`)
  return found[1]
}

/** The version of an npm package in package.json. @throws Error where it is not there */
export function packageVersion(name: string): string {
  const text = readFileSync(join(environment.clientsDir, 'package.json'), 'utf8')
  const { dependencies }: { dependencies: Readonly<Record<string, string>> } = JSON.parse(text)
  const version = dependencies[name]
  if (version === undefined) throw new Error(`package.json has no ${name}`)
  return version
}
