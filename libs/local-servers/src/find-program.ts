import { accessSync, constants, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** The first of the programs on the given PATH, or in extra folders, that may be executed. */
export function findProgram(
  name: string,
  path: string | undefined,
  extraFolders: readonly string[] = [],
): string | undefined {
  for (const folder of [...(path ?? '').split(delimiter), ...extraFolders]) {
    if (folder === '') continue
    const file = join(folder, name)
    if (isExecutable(file)) return file
  }
  return undefined
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Sub-folders, newest version first: where distributions put PostgreSQL's servers. */
export function versionFolders(parent: string, below: string): string[] {
  try {
    return readdirSync(parent)
      .sort((a, b) => versionOf(b) - versionOf(a))
      .map((version) => join(parent, version, below))
  } catch {
    return []
  }
}

/** "16" and "postgresql@16"; 0 for a name without a number. */
function versionOf(name: string): number {
  return Number(/\d+/.exec(name)?.[0] ?? 0)
}

/** Go, also where its installer puts it. */
export function findGo(path: string | undefined): string | undefined {
  return findProgram('go', path, ['/usr/local/go/bin'])
}
