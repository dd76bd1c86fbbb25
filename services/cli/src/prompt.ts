import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { CliError, EXIT } from './exit-code.ts'

let piped: Promise<string[]> | undefined

/** Asks on the terminal without showing what is typed; without one, takes the next line of stdin. */
export async function readSecret(label: string): Promise<string> {
  if (process.stdin.isTTY) return await ask(label)
  piped ??= text(process.stdin).then((all) => all.split(/\r?\n/))
  const line = (await piped).shift()
  if (line === undefined || line === '') {
    throw new CliError(EXIT.usage, `${label}: nothing on standard input`)
  }
  return line
}

async function ask(label: string): Promise<string> {
  process.stderr.write(`${label}: `)
  // Without an output, readline echoes nothing.
  const lines = createInterface({ input: process.stdin, terminal: true })
  try {
    return await new Promise((resolve, reject) => {
      lines.once('line', resolve)
      lines.once('close', () => reject(new CliError(EXIT.usage, 'nothing was entered')))
    })
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}
