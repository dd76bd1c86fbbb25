import type { ClientWay } from './ways.ts'

/** A client that people use, in one version. */
export type Tool = {
  /** "kubectl-1.33": for the command line, and the name of its namespaces. */
  readonly id: string
  readonly name: string
  readonly version: string
  /** Whether it needs the pods of `makePods`. */
  readonly pods: boolean
  readonly exercises: readonly Exercise[]
  /** Finds it, or builds it. @throws MissingToolError */
  readonly prepare: () => Promise<void>
}

/** Something that a client does. It has to say the same sent directly and through Postern. */
export type Exercise = {
  readonly title: string
  /** Answers what the client said, normalized. @throws where that is wrong on any way */
  readonly play: (way: ClientWay) => Promise<string>
}

/** A tool that cannot be had on this machine; the message says what it would take. */
export class MissingToolError extends Error {
  override readonly name = 'MissingToolError'
}

export type Result = {
  readonly tool: string
  readonly title: string
  readonly seconds: number
  readonly outcome:
    | { readonly kind: 'passed' }
    | { readonly kind: 'failed'; readonly why: string }
    | { readonly kind: 'not-run'; readonly why: string }
}
