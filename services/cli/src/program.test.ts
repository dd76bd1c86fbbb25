import { expect, test } from 'vitest'
import { completionScript } from './completion.ts'
import { createProgram } from './program.ts'

const program = createProgram()
const all = program.commands.flatMap((one) => [one, ...one.commands])

test('every command says what it is for', () => {
  expect(all.filter((one) => one.description() === '').map((one) => one.name())).toEqual([])
})

test.each(['bash', 'zsh', 'fish'])('completion for %s knows the commands', (shell) => {
  const script = completionScript(program, shell)
  for (const word of ['cluster', 'grant', 'tail', '--namespace']) {
    expect(script).toContain(word)
  }
})

test('a shell that is not known is refused', () => {
  expect(() => completionScript(program, 'tcsh')).toThrow(/bash, zsh, fish/)
})
