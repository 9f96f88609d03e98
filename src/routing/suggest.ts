// The nearest existing names for an unknown one. Pure.

const mostSuggestions = 3
const longestName = 80
/** Comparing costs a few microseconds a name, and anybody may ask: a table of 20,000 names must not cost 100 ms a question. */
const mostComparisons = 500

/** At most three names within a third of the name's length, nearest first. `key` is lower-case. */
export function suggest (key: string, names: readonly string[]): string[] {
  if (key.length > longestName) return []
  const limit = Math.max(1, Math.floor(key.length / 3))
  const near: Array<{ name: string, distance: number }> = []
  let comparisons = 0
  for (const name of names) {
    if (Math.abs(name.length - key.length) > limit || !sharesAnEnd(key, name)) continue
    if (++comparisons > mostComparisons) break
    const distance = editDistance(key, name.toLowerCase(), limit)
    if (distance <= limit) near.push({ name, distance })
  }
  return near.sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name)).slice(0, mostSuggestions).map(({ name }) => name)
}

/** A typing mistake rarely hits both the first and the last letter. */
function sharesAnEnd (key: string, name: string): boolean {
  return name[0]?.toLowerCase() === key[0] || name.at(-1)?.toLowerCase() === key.at(-1)
}

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
