// Whether a field's name is one of a few, whatever its letter case.

/** Most names are passed over by one look at a number: their length. Names of up to 31 letters. */
export class NameSet {
  readonly #names: ReadonlySet<string>
  /** Bit n: one of them has n letters. */
  readonly #lengths: number

  /** `names` in lower case. */
  constructor (names: readonly string[]) {
    this.#names = new Set(names)
    this.#lengths = names.reduce((bits, name) => bits | (1 << name.length), 0)
  }

  has (name: string): boolean {
    return name.length < 32 && (this.#lengths >>> name.length & 1) === 1 && this.#names.has(name.toLowerCase())
  }
}
