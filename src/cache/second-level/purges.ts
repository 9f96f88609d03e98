// Which purges an answer of the second level came before: in the order of the server's ids, because the clocks of gateways differ. Pure but for its memory.
import { keysMeaning, selectorKey, type Selector } from '../purge-log.ts'
import type { Place } from '../stored.ts'
import { compareIds } from './frame.ts'

/** One purge on its way to the others. */
export interface Outgoing {
  readonly selector: Selector
  readonly soft: boolean
  /** A write made it necessary, not an operator: outage copies are not meant. */
  readonly write?: true
}

/** `stale`: only soft purges mean it. */
export type Judged = 'usable' | 'stale' | 'gone'

/** Different purges remembered; answers older than what was forgotten count as gone. */
const mostKnown = 20_000
/** Purges that wait for the server; beyond that, one of everything takes their place. */
const mostWaiting = 1_000

export const firstId = '0-0'

export class SharedPurges {
  /** Id of the latest of each, oldest first. */
  readonly #known = new Map<string, string>()
  /** Not confirmed by the server: newer than anything found there. */
  readonly #waiting = new Map<string, Outgoing>()
  #floor = firstId

  get waiting (): number { return this.#waiting.size }

  /** Carried out here, to be told to the others. */
  add (outgoing: Outgoing): void {
    const key = keyOf(outgoing.selector, outgoing.soft)
    if (this.#waiting.size >= mostWaiting && !this.#waiting.has(key)) {
      const all: Outgoing = { selector: { kind: 'all' }, soft: false, ...ofWrites([...this.#waiting.values(), outgoing]) }
      this.#waiting.clear()
      this.#waiting.set(keyOf(all.selector, false), all)
      return
    }
    // An object of its own each time: what is under way does not confirm one that came after it.
    const { selector, soft } = outgoing
    this.#waiting.set(key, { selector, soft, ...ofWrites([outgoing, this.#waiting.get(key) ?? outgoing]) })
  }

  /** What is to be told, in order. */
  outgoing (): Outgoing[] {
    return [...this.#waiting.values()]
  }

  /** The server has it. */
  confirmed (outgoing: Outgoing, id: string): void {
    const key = keyOf(outgoing.selector, outgoing.soft)
    if (this.#waiting.get(key) === outgoing) this.#waiting.delete(key)
    this.note(outgoing, id)
  }

  note ({ selector, soft }: Outgoing, id: string): void {
    const key = keyOf(selector, soft)
    const before = this.#known.get(key)
    if (before !== undefined && compareIds(before, id) >= 0) return
    this.#known.delete(key)
    this.#known.set(key, id)
    if (this.#known.size <= mostKnown) return
    const [oldest, at] = this.#known.entries().next().value!
    this.#known.delete(oldest)
    this.trustFrom(at)
  }

  /** What was asked for before this id may have been purged without our knowing. */
  trustFrom (id: string): void {
    if (compareIds(id, this.#floor) > 0) this.#floor = id
  }

  /** `mark`: the last purge that was known when the answer was asked for. */
  judge (mark: string, place: Place, tags: readonly string[]): Judged {
    if (compareIds(mark, this.#floor) < 0) return 'gone'
    const keys = keysMeaning(place, tags)
    if (keys.some(key => this.#isAfter(`hard ${key}`, mark))) return 'gone'
    return keys.some(key => this.#isAfter(`soft ${key}`, mark)) ? 'stale' : 'usable'
  }

  #isAfter (key: string, mark: string): boolean {
    if (this.#waiting.has(key)) return true
    const id = this.#known.get(key)
    return id !== undefined && compareIds(id, mark) > 0
  }
}

/** What stands for all of these. */
const ofWrites = (purges: readonly Outgoing[]): Pick<Outgoing, 'write'> => purges.every(({ write }) => write === true) ? { write: true } : {}

const keyOf = (selector: Selector, soft: boolean): string => `${soft ? 'soft' : 'hard'} ${selectorKey(selector)}`

/**
 * What kinds are called in the stream. Under their own names URLs and ids stood as they were, which no hash would meet: what versions before
 * wrote, and what they read of this one, is a purge that nobody understands, which counts for everything.
 */
const names: Readonly<Record<Selector['kind'], string>> = { all: 'all', target: 'target-hash', tag: 'tag-hash', message: 'message', service: 'service' }
const kinds = new Map<unknown, Selector['kind']>(Object.entries(names).map(([kind, name]) => [name, kind as Selector['kind']]))

/** As it stands in the stream. */
export const purgeToText = ({ selector, soft, write }: Outgoing): string => JSON.stringify({ ...selector, kind: names[selector.kind], ...soft ? { soft } : {}, ...write === true ? { write } : {} })

/** undefined: nothing that this version knows. */
export function purgeFromText (text: string): Outgoing | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const { kind: told, soft, write, ...rest } = typeof value === 'object' && value !== null ? value as Record<string, unknown> : {}
  const kind = kinds.get(told)
  const how = { soft: soft === true, ...write === true ? { write } as const : {} }
  if (kind === 'all') return { selector: { kind }, ...how }
  return kind !== undefined && typeof rest[kind] === 'string' ? { selector: { kind, [kind]: rest[kind] } as Selector, ...how } : undefined
}
