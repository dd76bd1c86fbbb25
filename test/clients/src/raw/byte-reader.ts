/** Bytes of a stream in pieces of the size that is asked for. Reads no further than it has to. */
export class ByteReader {
  readonly #source: AsyncIterator<Buffer>
  #chunks: Buffer[] = []
  #length = 0
  #broken: string | undefined

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Why the stream broke off; `undefined` while it runs, and where it ended clean. */
  get broken(): string | undefined {
    return this.#broken
  }

  /** `undefined` where the stream ends before, however it ends. */
  async take(bytes: number): Promise<Buffer | undefined> {
    while (this.#length < bytes) {
      const chunk = await this.#next()
      if (chunk === undefined) return undefined
      this.#chunks.push(chunk)
      this.#length += chunk.length
    }
    const all = this.#chunks.length === 1 ? this.#chunks[0] : Buffer.concat(this.#chunks)
    const taken = all?.subarray(0, bytes) ?? Buffer.alloc(0)
    const rest = all?.subarray(bytes) ?? Buffer.alloc(0)
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#length = rest.length
    return taken
  }

  async #next(): Promise<Buffer | undefined> {
    try {
      const { done, value } = await this.#source.next()
      return done === true ? undefined : value
    } catch (error) {
      this.#broken = error instanceof Error ? error.message : String(error)
      return undefined
    }
  }
}
