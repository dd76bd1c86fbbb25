/**
 * What is there now, where that changes with every request. A Map or a Set would do, but for how V8 keeps
 * them: each table that one of them has outgrown leads to the next. Once such a table is in the old
 * generation it keeps all later ones, and everything that was in them, until that generation is collected,
 * so that requests which are long over are copied and promoted as if they ran.
 */
export class Roster<T extends object> {
  readonly #seats: (T | undefined)[] = []
  readonly #free: number[] = []

  get size(): number {
    return this.#seats.length - this.#free.length
  }

  /** Of everybody there now, the seat is below this. */
  get seats(): number {
    return this.#seats.length
  }

  /** Answers its seat, which is its alone until it leaves. */
  add(one: T): number {
    const seat = this.#free.pop() ?? this.#seats.length
    this.#seats[seat] = one
    return seat
  }

  at(seat: number): T | undefined {
    return this.#seats[seat]
  }

  /** Whether it was still there. */
  remove(seat: number, one: T): boolean {
    if (this.#seats[seat] !== one) return false
    this.#seats[seat] = undefined
    this.#free.push(seat)
    return true
  }

  /** Seats and who has them; whoever leaves meanwhile is left out. */
  *[Symbol.iterator](): Generator<[seat: number, one: T]> {
    for (const [seat, one] of this.#seats.entries()) {
      if (one !== undefined) yield [seat, one]
    }
  }
}
