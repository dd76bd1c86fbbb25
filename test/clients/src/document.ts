import type { Result, Tool } from './tool.ts'

const HEAD = `# Compatibility

Written by \`npm run compatibility\`, which plays every exercise below twice: sent directly to a real kube-apiserver, and
through gateway, relay and agent. "Same" means that the client said the same both times, to the byte, but for names, times
and ids that are new each time: output, errors, exit code, which streams ended and how. It is written only when every client ran.
[test/clients](../test/clients/README.md) says how the clients are built and what the exercises do.
`

/** docs/compatibility.md. The same text for the same results. */
export function compatibilityDocument(tools: readonly Tool[], results: readonly Result[]): string {
  const outcomes = new Map(results.map(({ tool, title, outcome }) => [`${tool} ${title}`, outcome]))
  const isSame = (tool: Tool, title: string) =>
    outcomes.get(`${tool.id} ${title}`)?.kind === 'passed'
  const names = [...new Set(tools.map(({ name }) => name))]
  const sections = names.map((name) => {
    const versions = tools.filter((tool) => tool.name === name)
    return `## ${name}\n\n${table(versions, isSame)}`
  })
  return `${[`${HEAD}\n${summary(tools, isSame)}`, ...sections].join('\n')}`
}

type IsSame = (tool: Tool, title: string) => boolean

function summary(tools: readonly Tool[], isSame: IsSame): string {
  const rows = tools.map((tool) => {
    const same = tool.exercises.filter(({ title }) => isSame(tool, title)).length
    const all = tool.exercises.length
    const result = same === all ? 'same' : `**${all - same} differ**`
    return `| ${tool.name} | ${tool.version} | ${all} | ${result} |\n`
  })
  return `| client | version | exercises | result |\n|---|---|---|---|\n${rows.join('')}`
}

/** A line for each exercise, a column for each version. */
function table(versions: readonly Tool[], isSame: IsSame): string {
  const titles = [
    ...new Set(versions.flatMap(({ exercises }) => exercises.map(({ title }) => title))),
  ]
  const head = `| exercise | ${versions.map(({ version }) => version).join(' | ')} |\n`
  const rows = titles.map((title) => {
    const cells = versions.map((tool) => {
      if (!tool.exercises.some((exercise) => exercise.title === title)) return ''
      return isSame(tool, title) ? 'same' : '**differs**'
    })
    return `| ${title} | ${cells.join(' | ')} |\n`
  })
  return `${head}|---${'|---'.repeat(versions.length)}|\n${rows.join('')}`
}
