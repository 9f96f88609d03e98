// Draws an index by weight in constant time, whatever the number of weights (Vose's alias method).

export class WeightedDraw {
  readonly #length: number
  /** Undefined: all weights are the same. */
  readonly #keep: Float64Array | undefined
  readonly #alias: Int32Array

  constructor (weights: readonly number[]) {
    this.#length = weights.length
    this.#alias = new Int32Array(weights.length)
    if (weights.every(weight => weight === weights[0])) return
    const total = weights.reduce((sum, weight) => sum + weight, 0)
    const scaled = Float64Array.from(weights, weight => weight * weights.length / total)
    const small: number[] = []
    const large: number[] = []
    for (const [index, weight] of scaled.entries()) (weight < 1 ? small : large).push(index)
    this.#keep = new Float64Array(weights.length).fill(1)
    while (small.length > 0 && large.length > 0) {
      const less = small.pop()!
      const more = large.pop()!
      this.#keep[less] = scaled[less]!
      this.#alias[less] = more
      scaled[more]! -= 1 - scaled[less]!
      if (scaled[more]! < 1) small.push(more)
      else large.push(more)
    }
  }

  draw (random: () => number): number {
    const at = random() * this.#length
    const index = Math.trunc(at)
    if (this.#keep === undefined) return index
    // The fraction is a random number of its own.
    return at - index < this.#keep[index]! ? index : this.#alias[index]!
  }
}
