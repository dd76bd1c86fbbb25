import type { Environment } from './settings.ts'

/** The process's own environment, for main.ts. Everything else is handed an environment. */
export function processEnvironment(): Environment {
  return { ...process.env }
}
