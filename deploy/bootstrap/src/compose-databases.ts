import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { prepareDatabases } from './platform/databases.ts'

/**
 * The job that compose runs before the services: gives every log owner its role and its schema.
 * Arguments: the administrator's URL without a password, and the folder with the passwords. May be run
 * again, and sets the passwords anew.
 */
const [, , adminUrl, folder] = process.argv
if (adminUrl === undefined || folder === undefined) {
  process.stderr.write('usage: main <postgres://administrator@host:port/postgres> <folder>\n')
  process.exitCode = 2
} else {
  const password = (role: string) => readFileSync(join(folder, `postgres-${role}`), 'utf8').trim()
  const url = new URL(adminUrl)
  url.password = password('admin')
  await prepareDatabases(url.toString(), password)
  process.stdout.write('every log owner has its role and its schema\n')
}
