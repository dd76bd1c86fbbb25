import { type ParseArgsConfig, parseArgs } from 'node:util'
import { messageOf } from '@postern/errors'

/** The command line was not understood; the message says what to do. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

type Described = NonNullable<ParseArgsConfig['options']>

/** What follows a command such as "npm start". @throws UsageError */
export function optionsOf<const Options extends Described>(
  command: string,
  args: readonly string[],
  options: Options,
) {
  try {
    return parseArgs({ args: [...args], options, allowNegative: true }).values
  } catch (cause) {
    throw new UsageError(`${messageOf(cause)}\n${command} -- --help lists the options`)
  }
}

/** The parts of an option that may be repeated, and may hold several with commas between them. */
export function partsOf(values: readonly string[]): string[] {
  return values.flatMap((value) => value.split(',')).filter((part) => part !== '')
}
