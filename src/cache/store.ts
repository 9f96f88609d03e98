// Stored answers in memory: bounded in bytes and number, per variant, per key and per message; found by key, URL and tag.
import { LRUCache } from 'lru-cache'
import { MultiMap } from '../lib/multi-map.ts'
import { PurgeLog, selects, type Selector } from './purge-log.ts'
import { Room } from './room.ts'
import { SharedTexts } from './shared-texts.ts'
import type { Stored } from './stored.ts'
import { variantOf } from './vary.ts'

export interface StoreLimits {
  /** All entries together, heads and keys counted. */
  readonly maxBytes: number
  readonly maxEntries: number
  readonly maxEntryBytes: number
  /** Of bodies that are still arriving, all together. */
  readonly maxArrivingBytes: number
  /** Of maxBytes and maxEntries, what one message may take. */
  readonly messageSharePercent: number
}

/** Variants of one key; the one that was given least goes. */
const mostVariants = 32

/** What is stored under one primary key. */
interface Resource {
  readonly key: string
  readonly target: string
  readonly shelf: Shelf
  /** Newest first. */
  variants: readonly Stored[]
  /** Since the hand of the clock passed. */
  asked: boolean
}

/** What is stored of one message, in the order of a clock's hand. */
export interface Shelf {
  readonly upstream: string
  readonly message: string
  readonly resources: Set<Resource>
  /** Answers under them, each variant counted. */
  entries: number
  bytes: number
}

export type Found = Stored | 'uri-miss' | 'vary-miss'

export class CacheStore {
  readonly purges = new PurgeLog()
  readonly arriving = new Room(() => this.#limits)
  #limits: StoreLimits
  #entries: LRUCache<Stored, Stored>
  readonly #resources = new Map<string, Resource>()
  readonly #byTarget = new MultiMap<Resource>()
  readonly #byTag = new MultiMap<Stored>()
  /** By the messages that paths below prefixes lead to. */
  readonly #byReached = new MultiMap<Stored>()
  readonly #shelves = new Map<string, Shelf>()
  readonly #texts = new SharedTexts()
  evicted = 0

  constructor (limits: StoreLimits) {
    this.#limits = limits
    this.#entries = this.#makeEntries()
  }

  get limits (): StoreLimits { return this.#limits }
  get bytes (): number { return this.#entries.calculatedSize }
  get size (): number { return this.#entries.size }
  get shelves (): Iterable<Shelf> { return this.#shelves.values() }

  /** The answer that these request headers select. */
  find (key: string, requestHeaders: readonly string[]): Found {
    const resource = this.#resources.get(key)
    if (resource === undefined) return 'uri-miss'
    let names: readonly string[] | undefined
    let variant = ''
    for (const stored of resource.variants) {
      if (stored.terms.vary !== names) {
        names = stored.terms.vary
        variant = variantOf(names, requestHeaders)
      }
      if (stored.variant !== variant) continue
      resource.asked = true
      this.#entries.get(stored)
      return stored
    }
    return 'vary-miss'
  }

  /** What the newest answer under this key varies by: what tells requests apart that are under way. */
  varyOf (key: string): readonly string[] {
    return this.#resources.get(key)?.variants[0]?.terms.vary ?? none
  }

  /** In place of the same variant. False: it is too large, or was purged while it came (`since`: purges when it was asked for). */
  put (stored: Stored, since = this.purges.count): boolean {
    const { key, target, upstream, message } = stored.place
    if (stored.bytes > this.#limits.maxEntryBytes || this.purges.hits(since, stored.place, stored.terms.tags)) return false
    const replaced = this.#resources.get(key)?.variants.find(({ variant, terms }) => variant === stored.variant && sameNames(terms.vary, stored.terms.vary))
    if (replaced !== undefined) this.#remove(replaced, false)
    const shelf = this.#shelf(upstream, message)
    let resource = this.#resources.get(key)
    if (resource === undefined) {
      resource = { key, target, shelf, variants: none, asked: false }
      this.#resources.set(key, resource)
      this.#byTarget.add(target, resource)
      shelf.resources.add(resource)
    }
    stored.share(this.#texts)
    // In place first, so that what it pushes out does not take its resource along.
    resource.variants = [stored, ...resource.variants]
    shelf.entries++
    shelf.bytes += stored.bytes
    for (const tag of tagsOf(stored)) this.#byTag.add(tag, stored)
    for (const name of stored.place.reached) this.#byReached.add(name, stored)
    this.#entries.set(stored, stored)
    if (resource.variants.length > mostVariants) this.#remove(this.#coldest(resource), true)
    this.#keepWithinShare(shelf, resource)
    return this.#entries.has(stored)
  }

  has (stored: Stored): boolean { return this.#entries.has(stored) }

  /** The same answer on other terms, or with a freshened head; false when the old one is not here any more. */
  replace (old: Stored, next: Stored, since: number): boolean {
    return this.#entries.has(old) && this.put(next, since)
  }

  remove (stored: Stored): void {
    this.#remove(stored, false)
  }

  /** Removes what a purge means, or makes it stale from now on. How many entries that were. `gone` is told each. */
  purge (selector: Selector, soft: boolean, nowMs: number, gone?: (stored: Stored) => void): number {
    this.purges.add(selector)
    const meant = [...this.#meant(selector)]
    for (const stored of meant) {
      gone?.(stored)
      this.#remove(stored, false)
      if (soft) this.put(stored.staleFrom(nowMs))
    }
    return meant.length
  }

  /** Entries of one message of an upstream, by its name as the table has it. */
  * of (upstream: string, message: string): Generator<Stored> {
    for (const { variants } of this.#shelves.get(shelfKey(upstream, message))?.resources ?? []) yield * variants
  }

  * entries (): Generator<Stored> {
    for (const { variants } of this.#resources.values()) yield * variants
  }

  /** Other limits: what does not fit any more goes, what was asked for longest ago first. */
  configure (limits: StoreLimits): void {
    if (JSON.stringify(limits) === JSON.stringify(this.#limits)) return
    const kept = [...this.#entries.rkeys()]
    for (const stored of kept) this.#remove(stored, false)
    this.#limits = limits
    this.#entries = this.#makeEntries()
    for (const stored of kept) this.put(stored)
  }

  #makeEntries (): LRUCache<Stored, Stored> {
    const { maxBytes, maxEntries } = this.#limits
    return new LRUCache<Stored, Stored>({
      max: maxEntries,
      maxSize: maxBytes,
      sizeCalculation: stored => stored.bytes,
      dispose: (stored, _key, reason) => {
        if (reason !== 'evict') return
        this.evicted++
        this.#detach(stored)
      }
    })
  }

  * #meant (selector: Selector): Generator<Stored> {
    switch (selector.kind) {
      case 'target':
        for (const { variants } of this.#byTarget.get(selector.target)) yield * variants
        return
      case 'tag':
        yield * this.#byTag.get(selector.tag)
        return
      case 'all':
        yield * this.entries()
        return
      default:
        for (const { upstream, message, resources } of this.#shelves.values()) {
          if (!selects(selector, { key: '', target: '', upstream, message, reached: none, ownTags: none }, none)) continue
          for (const { variants } of resources) yield * variants
        }
        if (selector.kind === 'message') yield * this.#byReached.get(selector.message.toLowerCase())
    }
  }

  #remove (stored: Stored, evicted: boolean): void {
    if (!this.#entries.delete(stored)) return
    if (evicted) this.evicted++
    this.#detach(stored)
  }

  #detach (stored: Stored): void {
    for (const tag of tagsOf(stored)) this.#byTag.delete(tag, stored)
    for (const name of stored.place.reached) this.#byReached.delete(name, stored)
    const resource = this.#resources.get(stored.place.key)
    if (resource?.variants.includes(stored) !== true) return
    resource.variants = resource.variants.filter(variant => variant !== stored)
    const { shelf } = resource
    shelf.entries--
    shelf.bytes -= stored.bytes
    if (resource.variants.length > 0) return
    this.#resources.delete(resource.key)
    this.#byTarget.delete(resource.target, resource)
    shelf.resources.delete(resource)
    if (shelf.resources.size === 0) this.#shelves.delete(shelfKey(shelf.upstream, shelf.message))
  }

  /** Who was given least, the oldest of several; not the newest, which nobody can have asked for yet: newest are first. */
  #coldest ({ variants: [newest, ...others] }: Resource): Stored {
    return others.reduce<Stored | undefined>((coldest, stored) => coldest === undefined || stored.hits <= coldest.hits ? stored : coldest, undefined) ?? newest!
  }

  /**
   * A flood of keys of one message pushes out its own: the hand of a clock passes over what was asked for since it came by last, and takes
   * the first that was not. `newest` is spared, else nothing new could ever be asked for twice; where nothing else is left, its oldest variants go.
   */
  #keepWithinShare (shelf: Shelf, newest: Resource): void {
    const share = this.#limits.messageSharePercent / 100
    const mostBytes = this.#limits.maxBytes * share
    const mostEntries = Math.max(1, Math.floor(this.#limits.maxEntries * share))
    while ((shelf.bytes > mostBytes || shelf.entries > mostEntries) && shelf.entries > 1) {
      const [only] = shelf.resources
      const taken = shelf.resources.size === 1 ? [this.#coldest(only!)] : handOf(shelf, newest).variants
      for (const stored of taken) this.#remove(stored, true)
    }
  }

  #shelf (upstream: string, message: string): Shelf {
    const id = shelfKey(upstream, message)
    let shelf = this.#shelves.get(id)
    if (shelf === undefined) this.#shelves.set(id, shelf = { upstream, message, resources: new Set(), entries: 0, bytes: 0 })
    return shelf
  }
}

/** Steps of the hand for one insertion; then whatever is under it goes, so that an insertion never walks the whole shelf. */
const mostSteps = 16

function handOf ({ resources }: Shelf, spared: Resource): Resource {
  let steps = 0
  for (const resource of resources) {
    if (resource !== spared && (!resource.asked || ++steps > mostSteps)) return resource
    // Behind the hand again.
    resource.asked = false
    resources.delete(resource)
    resources.add(resource)
  }
  return spared
}

const none: readonly never[] = []
const shelfKey = (upstream: string, message: string): string => `${upstream}\n${message}`
const tagsOf = ({ terms: { tags }, place: { ownTags } }: Stored): readonly string[] => ownTags.length === 0 ? tags : [...tags, ...ownTags]
const sameNames = (a: readonly string[], b: readonly string[]): boolean => a === b || (a.length === b.length && a.every((name, i) => name === b[i]))
