const { POSTERN_TEST_RUNS } = process.env

/** How many cases a property tries here: what fits into seconds, or what POSTERN_TEST_RUNS says. */
export function runs(usual: number): number {
  return POSTERN_TEST_RUNS === undefined ? usual : Number(POSTERN_TEST_RUNS)
}
