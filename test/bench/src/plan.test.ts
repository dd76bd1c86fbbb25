import { expect, test } from 'vitest'
import { type Measurement, runPlan } from './plan.ts'

const fine = (name: string): Measurement => ({
  name,
  secondsExpected: 1,
  run: () => Promise.resolve('found'),
})
const broken: Measurement = {
  name: 'broken',
  secondsExpected: 1,
  run: () => Promise.reject(new Error('no answer')),
}
const never = new AbortController().signal

test('what fails is said, and keeps no other from being measured', async () => {
  const lines: string[] = []
  const failures = await runPlan(
    [fine('first'), broken, fine('last')],
    (line) => lines.push(line),
    never,
  )
  expect(failures).toEqual([{ name: 'broken', message: 'no answer' }])
  expect(lines.map((line) => /(\S+): (.*)$/.exec(line)?.slice(1))).toEqual([
    ['first', 'found'],
    ['broken', 'FAILED: no answer'],
    ['last', 'found'],
  ])
})

test('when it is stopped nothing more is measured', async () => {
  const stopping = new AbortController()
  const lines: string[] = []
  const stopped = runPlan(
    [fine('first'), fine('second')],
    (line) => {
      lines.push(line)
      stopping.abort(new Error('stopped'))
    },
    stopping.signal,
  )
  await expect(stopped).rejects.toThrow('stopped')
  expect(lines).toHaveLength(1)
})
