import pc from 'picocolors'
import { stringify } from 'yaml'
import { printable } from '../output/printable.ts'
import type { Change } from './plan.ts'
import { normalized } from './plan.ts'

const LINES_MAX = 2000

/** What a change does, as lines that go and come. */
export function renderChange({ document, action, before }: Change): string {
  const title = `${document.kind} ${printable(document.name)}`
  if (action === 'keep') return pc.dim(`= ${title}`)
  if (action === 'create') return [pc.green(`+ ${title}`), ...marked('+', document.spec)].join('\n')
  return [pc.yellow(`~ ${title}`), ...differences(lines(before), lines(document.spec))].join('\n')
}

function marked(mark: '+' | '-', value: unknown): string[] {
  return lines(value).map((line) => paint(mark, line))
}

function lines(value: unknown): string[] {
  return stringify(normalized(value)).trimEnd().split('\n').slice(0, LINES_MAX).map(printable)
}

function paint(mark: '+' | '-' | ' ', line: string): string {
  const text = `  ${mark} ${line}`
  if (mark === ' ') return text
  return mark === '+' ? pc.green(text) : pc.red(text)
}

/** The longest common subsequence of lines stays; the rest goes or comes. */
function differences(before: readonly string[], after: readonly string[]): string[] {
  const width = after.length + 1
  const lengths = new Uint32Array((before.length + 1) * width)
  for (let left = before.length - 1; left >= 0; left -= 1) {
    for (let right = after.length - 1; right >= 0; right -= 1) {
      lengths[left * width + right] =
        before[left] === after[right]
          ? at(left + 1, right + 1) + 1
          : Math.max(at(left + 1, right), at(left, right + 1))
    }
  }
  function at(left: number, right: number): number {
    return lengths[left * width + right] ?? 0
  }
  const shown: string[] = []
  let left = 0
  let right = 0
  while (left < before.length || right < after.length) {
    const gone = before[left]
    const come = after[right]
    if (gone !== undefined && gone === come) {
      shown.push(paint(' ', gone))
      left += 1
      right += 1
    } else if (
      come !== undefined &&
      (gone === undefined || at(left, right + 1) > at(left + 1, right))
    ) {
      shown.push(paint('+', come))
      right += 1
    } else if (gone !== undefined) {
      shown.push(paint('-', gone))
      left += 1
    }
  }
  return shown
}
