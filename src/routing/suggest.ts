// The nearest existing names for an unknown one. Pure.
import { editDistance } from '../lib/edit-distance.ts'

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
