import { join } from 'node:path'

/** How the image of a part starts it. */
export type ShippedCommand = {
  /** Options and files of node; in an image the part's folder is /app. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

type Stage = {
  readonly from: string
  entryPoint?: string
  readonly env: Record<string, string>
}

/**
 * Reads from the Dockerfile's text how the image of a part starts it, so that what is measured is what
 * ships. Only settings of Node and of the allocator are taken: the rest is for containers.
 */
export function shippedCommand(dockerfile: string, part: string): ShippedCommand {
  const stages = stagesOf(dockerfile)
  const env: Record<string, string> = {}
  let entryPoint: string | undefined
  for (let at = stages.get(part); at !== undefined; at = stages.get(at.from)) {
    entryPoint ??= at.entryPoint
    for (const [name, value] of Object.entries(at.env)) env[name] ??= value
  }
  if (entryPoint === undefined) throw new Error(`the image of ${part} has no ENTRYPOINT`)
  return { args: nodeArguments(entryPoint), env }
}

/** The same command for a folder of this machine. */
export function inFolder({ args }: ShippedCommand, folder: string): string[] {
  return args.map((arg) =>
    arg.startsWith('/app/') ? join(folder, arg.slice('/app/'.length)) : arg,
  )
}

/** The options of V8 and Node among its arguments, without what is loaded or run. */
export function nodeOptions({ args }: ShippedCommand): string[] {
  return args.filter((arg) => arg.startsWith('--') && arg !== '--import')
}

function stagesOf(text: string): ReadonlyMap<string, Stage> {
  const stages = new Map<string, Stage>()
  let current: Stage | undefined
  for (const line of text.split('\n')) {
    const [, from, name] = /^FROM (\S+) AS (\S+)$/.exec(line) ?? []
    if (from !== undefined && name !== undefined) {
      current = { from, env: {} }
      stages.set(name, current)
    }
    const [, setting, value] = /^ENV ([A-Z_]+)=(\S+)$/.exec(line) ?? []
    if (setting !== undefined && value !== undefined && /^(NODE|MALLOC)_/.test(setting)) {
      if (current !== undefined) current.env[setting] = value
    }
    const [, entry] = /^ENTRYPOINT (\[.*\])$/.exec(line) ?? []
    if (entry !== undefined && current !== undefined) {
      current.entryPoint = entry
    }
  }
  return stages
}

function nodeArguments(entryPoint: string): string[] {
  const [program, ...args]: unknown[] = JSON.parse(entryPoint)
  if (program !== 'node') throw new Error(`not a command of node: ${entryPoint}`)
  return args.map(String)
}
