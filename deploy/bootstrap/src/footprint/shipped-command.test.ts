import { expect, test } from 'vitest'
import { inFolder, nodeOptions, shippedCommand } from './shipped-command.ts'

const DOCKERFILE = `
FROM node:24 AS part
ENV NODE_ENV=production
ENV MALLOC_ARENA_MAX=2
FROM part AS small
ENV MALLOC_ARENA_MAX=1
ENTRYPOINT ["node", "--max-semi-space-size=1", "--import", "/app/telemetry.js", "/app/main.js"]
FROM small AS policy
ENV POSTERN_POLICY_HTTP_LISTEN=0.0.0.0:9464
FROM part AS proxy
ENTRYPOINT ["envoy"]
`

test('a part starts as the nearest stage below its image says, without settings of containers', () => {
  const command = shippedCommand(DOCKERFILE, 'policy')
  expect(command.env).toEqual({ NODE_ENV: 'production', MALLOC_ARENA_MAX: '1' })
  expect(inFolder(command, '/out/policy')).toEqual([
    '--max-semi-space-size=1',
    '--import',
    '/out/policy/telemetry.js',
    '/out/policy/main.js',
  ])
  expect(nodeOptions(command)).toEqual(['--max-semi-space-size=1'])
})

test.each([
  { part: 'part', error: 'the image of part has no ENTRYPOINT' },
  { part: 'proxy', error: 'not a command of node' },
  { part: 'unknown', error: 'the image of unknown has no ENTRYPOINT' },
])('what is not known to start a part is not measured: $part', ({ part, error }) => {
  expect(() => shippedCommand(DOCKERFILE, part)).toThrow(error)
})
