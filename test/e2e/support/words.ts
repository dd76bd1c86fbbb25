/** A command line as it is typed: for arguments without spaces in them. */
export function words(line: string): string[] {
  return line.split(' ')
}
