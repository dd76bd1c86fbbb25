import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { caseChecks } from './cases.ts'
import type { Check, Generated } from './check.ts'
import { accountChecks } from './checks/accounts.ts'
import { attributeChecks } from './checks/attributes.ts'
import { auditChecks } from './checks/audit.ts'
import { connectionChecks } from './checks/connections.ts'
import { credentialChecks } from './checks/credentials.ts'
import { differentialChecks } from './checks/differential.ts'
import { endChecks } from './checks/ends.ts'
import { errorChecks } from './checks/errors.ts'
import { escalationChecks } from './checks/escalation.ts'
import { headerChecks } from './checks/headers.ts'
import { identityChecks } from './checks/identity.ts'
import { kubeconfigChecks } from './checks/kubeconfigs.ts'
import { kubectlStreamChecks } from './checks/kubectl-streams.ts'
import { parsingChecks } from './checks/parsing.ts'
import { pressureChecks } from './checks/pressure.ts'
import { selfReviewChecks } from './checks/self-reviews.ts'
import { streamingChecks } from './checks/streaming.ts'
import { upgradeChecks } from './checks/upgrades.ts'
import { environment } from './config.ts'
import { vectorChecks } from './vectors.ts'

const VECTOR_FILES = ['requestinfo-vectors.jsonl', 'requestinfo-oracle-vectors.jsonl']
const CASES_FILE = 'cases.jsonl'

/** What is told in words, and what no file could tell: by the ids of the rules' tests. */
export function wordedChecks(generated: Generated): Check[] {
  return [
    ...attributeChecks,
    ...parsingChecks,
    ...headerChecks,
    ...upgradeChecks(generated),
    ...kubectlStreamChecks,
    ...streamingChecks(generated),
    ...endChecks,
    ...pressureChecks,
    ...errorChecks(generated),
    ...connectionChecks,
    ...selfReviewChecks,
    ...auditChecks,
    ...accountChecks,
    ...escalationChecks,
    ...kubeconfigChecks,
    ...identityChecks(generated),
    ...credentialChecks,
    ...differentialChecks(generated),
  ]
}

/** Everything that is known to be tried, rule by rule. */
export function builtInChecks(generated: Generated): Check[] {
  const worded = wordedChecks(generated)
  const cases = caseChecks(CASES_FILE, contentOf(CASES_FILE), worded)
  const vectors = VECTOR_FILES.flatMap((file) => vectorChecks(file, contentOf(file)))
  return [...vectors, ...cases, ...worded.filter((check) => !cases.includes(check))]
}

function contentOf(file: string): string {
  return readFileSync(join(environment.root, 'test/conformance', file), 'utf8')
}
