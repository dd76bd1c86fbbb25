import type { Command } from 'commander'
import { CliError, EXIT } from './exit-code.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const

/** What may follow: "postern cluster" → its sub-commands and options. */
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
  const names = command.commands.map((sub) => sub.name())
  const own = [...names, ...options, '--help'].filter((word) => typeof word === 'string')
  const all = new Map([[path, own]])
  for (const sub of command.commands) {
    for (const name of [sub.name(), ...sub.aliases()]) {
      for (const [below, list] of wordsOf(sub, `${path} ${name}`)) all.set(below, list)
    }
  }
  return all
}

/** Words that make no command, such as options, their values and names, are passed over. */
function bash(words: Words): string {
  const cases = [...words].map(([path, list]) => `    "${path}") echo "${list.join(' ')}" ;;`)
  return `_postern_words() {
  case "$1" in
${cases.join('\n')}
    *) return 1 ;;
  esac
}
_postern() {
  local path=postern word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if _postern_words "$path $word" >/dev/null; then path="$path $word"; fi
  done
  COMPREPLY=($(compgen -W "$(_postern_words "$path")" -- "\${COMP_WORDS[COMP_CWORD]}"))
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
