import type { Command } from 'commander'
import { type Api, createApi, type Json } from './api.ts'
import { CliError, EXIT } from './exit-code.ts'
import { type Column, FORMATS, type Format, format } from './output/format.ts'
import { readSignIn } from './sign-in.ts'

/** The API as whoever is signed in. */
export function signedIn(): Api {
  return createApi(readSignIn())
}

export function say(text: string): void {
  process.stdout.write(`${text}\n`)
}

/** Prints what a command found, in the form that `-o` asks for. */
export function show(
  command: Command,
  what: Json | readonly Json[],
  columns: readonly Column[],
): void {
  say(format(what, columns, formatOf(command)))
}

/** Only one of the formats gets as far as here. */
export function formatOf(command: Command): Format {
  const { output } = command.optsWithGlobals<{ output?: string }>()
  return FORMATS.find((one) => one === output) ?? 'table'
}

/** "key=value" pairs, as --label takes them. @throws CliError */
export function parsePairs(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new CliError(EXIT.usage, `"${pair}" is not key=value`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

/** For options that may be given several times. */
export function collect(value: string, before: readonly string[]): string[] {
  return [...before, value]
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600 }

/** "90s", "30m" or "8h" as proto JSON wants a duration. @throws CliError */
export function parseDuration(text: string): string {
  const [, number, unit] = /^(\d{1,6})([smh])$/.exec(text) ?? []
  const seconds = UNITS[unit ?? '']
  if (number === undefined || seconds === undefined) {
    throw new CliError(EXIT.usage, `"${text}" is not a time like 90s, 30m or 8h`)
  }
  return `${Number(number) * seconds}s`
}
