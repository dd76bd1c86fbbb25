import { defineConfig } from 'vitest/config'

// Without 'import': vitest hands these to its workers, where they would hold for require() as well.
const conditions = ['@postern/source', 'node']
const servers = ['./test/fixtures/src/vitest-servers.ts']

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions } },
  // Where vitest runs globalSetup.
  environments: { __vitest__: { resolve: { conditions } } },
  test: {
    passWithNoTests: true,
    // A poll waits for a condition: on a busy machine a second is no bound for one.
    expect: { poll: { timeout: 10_000 } },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: [
            '{libs,services,deploy}/*/src/**/*.test.ts',
            'test/{bench,conformance}/src/**/*.test.ts',
          ],
          pool: 'threads',
          isolate: false,
          // Properties run thousands of cases: on a busy machine that takes its time.
          testTimeout: 20_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'integration',
          include: ['{libs,services,deploy}/*/test/**/*.int.test.ts'],
          globalSetup: servers,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/{e2e,conformance,chaos,clients}/**/*.e2e.test.ts'],
          globalSetup: servers,
          testTimeout: 120_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
})
