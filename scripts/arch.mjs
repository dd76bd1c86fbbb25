// Runs dependency-cruiser and asserts that it saw the modules: it passes with none when it cannot
// load TypeScript.
import { execFileSync } from 'node:child_process'
import { globSync } from 'node:fs'

const folders = ['libs', 'services', 'deploy', 'test']
const sources = globSync('{libs,services,deploy,test}/**/*.ts', {
  exclude: (path) => /node_modules|dist/.test(path),
}).length
let report
try {
  report = execFileSync('depcruise', ['--output-type', 'json', ...folders], {
    maxBuffer: 1 << 28,
    encoding: 'utf8',
  })
} catch (error) {
  report = error.stdout
}
const { modules, summary } = JSON.parse(report)
const seen = modules.filter(({ source }) =>
  /^(libs|services|deploy|test)\/.*\.ts$/.test(source),
).length
for (const { rule, from, to } of summary.violations) {
  process.stderr.write(`${rule.severity} ${rule.name}: ${from} -> ${to}\n`)
}
process.stdout.write(
  `architecture: ${seen} of ${sources} modules, ${summary.violations.length} violations\n`,
)
if (seen < sources) process.stderr.write('dependency-cruiser did not see every module\n')
process.exitCode = summary.violations.length > 0 || seen < sources ? 1 : 0
