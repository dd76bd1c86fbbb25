export type Stage = {
  readonly name: string
  readonly base: string
  /** ENV of this stage and of those it begins with, up to an image from outside. */
  readonly env: Readonly<Record<string, string>>
  readonly lines: readonly string[]
}

/** The stages of a Dockerfile by name, each with everything it has from the stages below it. */
export function readDockerfile(source: string): ReadonlyMap<string, Stage> {
  const stages = new Map<string, Stage>()
  const chunks = source.replaceAll('\\\n', ' ').split(/^(?=FROM )/m)
  for (const chunk of chunks.slice(1)) {
    const [first = '', ...rest] = chunk.split('\n').filter((line) => !/^\s*(#|$)/.test(line))
    const [, base = '', name = ''] = /^FROM (\S+) AS (\S+)$/.exec(first) ?? []
    const below = stages.get(base)
    const own = rest.flatMap((line) => {
      const [, key = '', value = ''] = /^ENV ([A-Z_]+)=(.*)$/.exec(line) ?? []
      return key === '' ? [] : [[key, value] as const]
    })
    stages.set(name, {
      name,
      base,
      env: { ...below?.env, ...Object.fromEntries(own) },
      lines: [...(below?.lines ?? []), ...rest],
    })
  }
  return stages
}

/** The last instruction of that kind counts. */
export function lastOf(stage: Stage, instruction: string): string | undefined {
  return stage.lines.findLast((line) => line.startsWith(`${instruction} `))
}
