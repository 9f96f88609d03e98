// How far two words are apart, and which known word somebody probably meant.

/** Levenshtein, given up beyond `limit`. */
export function editDistance (a: string, b: string, limit: number): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    let least = i
    for (let j = 1; j <= b.length; j++) {
      const cost = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
      next.push(cost)
      least = Math.min(least, cost)
    }
    if (least > limit) return limit + 1
    row = next
  }
  return row[b.length]!
}

/** The known word within two fifths of the length of what was written (a transposed pair counts two), without regard to case; undefined when none is that near. */
export function nearestWord (written: string, known: readonly string[]): string | undefined {
  const limit = Math.max(1, Math.round(written.length * 0.4))
  if (written.length > 80) return undefined
  let best: { word: string, distance: number } | undefined
  for (const word of known) {
    const distance = editDistance(written.toLowerCase(), word.toLowerCase(), limit)
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { word, distance }
  }
  return best?.word
}
