import { expect, test } from 'vitest'
import { rememberTexts } from './known-texts.ts'

function remembering() {
  const lookedAt: string[] = []
  const known = rememberTexts(
    (text) => {
      lookedAt.push(text)
      return { text }
    },
    { textsMax: 2, charactersMax: 3 },
  )
  return { known, lookedAt }
}

test('a text that comes again is looked at once, in whatever text it comes', () => {
  const { known, lookedAt } = remembering()
  const first = known('abc')
  expect(known('xabcx'.slice(1, 4))).toBe(first)
  expect(lookedAt).toEqual(['abc'])
})

test('however many texts come, and however long, only so many and none that is longer are remembered', () => {
  const { known, lookedAt } = remembering()
  for (const text of ['a', 'b', 'c', 'c', 'a', 'long', 'long']) known(text)
  expect(lookedAt).toEqual(['a', 'b', 'c', 'a', 'long', 'long'])
})
