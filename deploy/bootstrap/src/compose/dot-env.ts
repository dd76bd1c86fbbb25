/** Sets names in the text of a .env file; whatever else is in it stays as it is. */
export function setInDotEnv(text: string, values: Readonly<Record<string, string>>): string {
  const left = new Map(Object.entries(values))
  const lines = text === '' ? [] : text.replace(/\n$/, '').split('\n')
  const changed = lines.map((line) => {
    const name = nameIn(line)
    const value = name === undefined ? undefined : left.get(name)
    if (name === undefined || value === undefined) return line
    left.delete(name)
    return `${name}=${value}`
  })
  const added = [...left].map(([name, value]) => `${name}=${value}`)
  return `${[...changed, ...added].join('\n')}\n`
}

/** The names and values of a .env file as Postern writes it: no quotes, no references. */
export function readDotEnv(text: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    text.split('\n').flatMap((line) => {
      const name = nameIn(line)
      return name === undefined ? [] : [[name, line.slice(line.indexOf('=') + 1).trim()]]
    }),
  )
}

function nameIn(line: string): string | undefined {
  return /^\s*([A-Za-z_][A-Za-z0-9_]*)\s*=/.exec(line)?.[1]
}
