// By which tags an answer can be purged, and how many that may be. Pure.
import { fieldValues } from './field-syntax.ts'

/** Most tags of one answer, and letters of each: an answer must not grow the index of tags without end. */
export const mostTags = 128
export const longestTag = 256

/** Cache-Tag is separated by commas, Surrogate-Key by spaces. `names`: of fields, lower-case. undefined: too many, or one too long; none is left out. */
export function tagsIn (headers: readonly string[], names: readonly string[]): readonly string[] | undefined {
  let tags: Set<string> | undefined
  for (const name of names) {
    for (const value of fieldValues(headers, name)) {
      for (const tag of value.split(/[\s,]+/)) {
        if (tag === '') continue
        if (tag.length > longestTag || (tags ??= new Set()).add(tag).size > mostTags) return undefined
      }
    }
  }
  return tags === undefined ? none : [...tags]
}
const none: readonly string[] = []
