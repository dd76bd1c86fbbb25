/** A map that is changed by a fold: what it was made from stays as it is. */
export type DraftMap<Value> = {
  get(key: string): Value | undefined
  values(): IterableIterator<Value>
  set(key: string, value: Value): void
  delete(key: string): void
  /** The same map as before if nothing changed. */
  done(): ReadonlyMap<string, Value>
}

/** Copies at the first change, so that a batch costs one copy and no change costs none. */
export function draftMap<Value>(base: ReadonlyMap<string, Value>): DraftMap<Value> {
  let copy: Map<string, Value> | undefined
  const written = (): Map<string, Value> => {
    copy ??= new Map(base)
    return copy
  }
  return {
    get: (key) => (copy ?? base).get(key),
    values: () => (copy ?? base).values(),
    set: (key, value) => {
      written().set(key, value)
    },
    delete: (key) => {
      if ((copy ?? base).has(key)) written().delete(key)
    },
    done: () => copy ?? base,
  }
}
