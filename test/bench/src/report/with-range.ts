import type { Spread } from '../statistics.ts'

/** The median, and in brackets the smallest and largest, where there were several. */
export function withRange({ median, min, max }: Spread, digits: number): string {
  const text = (figure: number) => figure.toFixed(digits)
  return min === max ? text(median) : `${text(median)} (${text(min)}-${text(max)})`
}
