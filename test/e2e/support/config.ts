/** For programs that run as a user of this machine runs them. */
export const environment: Readonly<Record<string, string | undefined>> = process.env

const { POSTERN_TEST_RUNS } = environment

/** How many cases a property tries here: what fits into seconds, or what POSTERN_TEST_RUNS says. */
export function runs(usual: number): number {
  return POSTERN_TEST_RUNS === undefined ? usual : Number(POSTERN_TEST_RUNS)
}
