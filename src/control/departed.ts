// Names that nobody claims any more, and whose they were last: whoever claims one later has it from them, and an operator reads of a move. Pure.
import type { Owner, Resolution } from './ownership.ts'

/** By lower-cased name: the upstream that had it last. The newest stand last. */
export type Departed = ReadonlyMap<string, string>

/** Most names remembered; the oldest are forgotten. As many as a large fleet has. */
export const mostDeparted = 20_000

/** What is remembered after a decision. `before` and `owners`: who had which name before it, and after it. */
export function rememberDeparted (departed: Departed, before: ReadonlyMap<string, Owner>, owners: ReadonlyMap<string, Owner>): Departed {
  const back = departed.keys().filter(key => owners.has(key)).toArray()
  const gone = before.entries().filter(([key]) => !owners.has(key)).toArray()
  if (back.length === 0 && gone.length === 0) return departed
  const all = new Map(departed)
  for (const key of back) all.delete(key)
  for (const [key, { upstream }] of gone) {
    all.delete(key)
    all.set(key, upstream)
  }
  for (const key of all.keys()) {
    if (all.size <= mostDeparted) break
    all.delete(key)
  }
  return all
}

/** The resolution of a name that had no owner, as a move where it had one before. */
export function asMove (resolution: Resolution, from: string | undefined): Resolution {
  return resolution.owner === undefined || from === undefined || from === resolution.owner ? resolution : { ...resolution, moved: { from, because: 'gone' } }
}
