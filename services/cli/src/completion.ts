import type { Command } from 'commander'
import { CliError, EXIT } from './exit-code.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const

/** Words after which completion offers more: "postern cluster" → its sub-commands and options. */
type Words = ReadonlyMap<string, readonly string[]>

/** A completion script for a shell, made from the commands themselves. @throws CliError */
export function completionScript(program: Command, shell: string): string {
  const words = wordsOf(program)
  switch (shell) {
    case 'bash':
      return bash(words)
    case 'zsh':
      return `#compdef postern\nautoload -U +X bashcompinit && bashcompinit\n${bash(words)}`
    case 'fish':
      return fish(words)
    default:
      throw new CliError(EXIT.usage, `completion is for ${SHELLS.join(', ')}, not "${shell}"`)
  }
}

function wordsOf(command: Command, path = 'postern'): Map<string, string[]> {
  const options = command.options.flatMap(({ long, short }) => [long, short])
  const own = [...command.commands.map((sub) => sub.name()), ...options]
  const all = new Map([[path, own.filter((word) => word !== undefined && word !== null)]])
  for (const sub of command.commands) {
    for (const [below, list] of wordsOf(sub, `${path} ${sub.name()}`)) all.set(below, list)
  }
  return all
}

function bash(words: Words): string {
  const cases = [...words].map(([path, list]) => `    "${path}") words="${list.join(' ')}" ;;`)
  return `_postern() {
  local words='' path=postern word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) ;; *) path="$path $word" ;; esac
  done
  case "$path" in
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _postern postern
`
}

function fish(words: Words): string {
  const lines = [...words].map(([path, list]) => {
    const seen = path.split(' ').slice(1)
    const condition =
      seen.length === 0
        ? '__fish_use_subcommand'
        : seen.map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ')
    return `complete -c postern -f -n '${condition}' -a '${list.join(' ')}'`
  })
  return `${lines.join('\n')}\n`
}
