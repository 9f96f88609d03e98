// A YAML text as a value that remembers where each part of it stands. Pure.
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit, type Document, type Node, type Pair, type YAMLMap } from 'yaml'
import type { Place } from './problem.ts'

export interface Fault {
  readonly place: Place
  readonly message: string
  readonly hint: string | undefined
}

export interface ConfigDocument {
  /** The whole text as plain values, of keys that stand twice the last; undefined when it has none because of its faults. */
  readonly value: unknown
  /** What is wrong with the text as YAML. */
  readonly faults: readonly Fault[]
  /** Where a value stands, or the nearest parent of it that the text has; of a `key`, where its name stands. */
  placeOf (segments: readonly string[], what: 'key' | 'value'): Place
}

/** An alias may repeat what it names this often in all: more is an attack on memory, not a configuration. */
const maxAliasCount = 100
const start: Place = { line: 1, column: 1 }

export function parseConfigDocument (text: string): ConfigDocument {
  const lineCounter = new LineCounter()
  const toPlace = (offset: number): Place => {
    const { line, col } = lineCounter.linePos(offset)
    return { line: Math.max(1, line), column: Math.max(1, col) }
  }
  try {
    // Keys are compared below: the library's own comparison takes 20 s for a map of 40,000.
    const document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false, merge: true, stringKeys: false })
    const faults = [...document.errors, ...document.warnings].map(({ code, message, pos }) => ({ place: toPlace(pos[0]), ...inOurWords(code, message) }))
    const structure = structureFaults(document)
    const hasValue = faults.length === 0 && structure.every(({ isRepeated }) => isRepeated)
    faults.push(...structure.map(({ offset, message, hint }) => ({ place: toPlace(offset), message, hint })))
    const value: unknown = hasValue ? document.toJS({ maxAliasCount }) : undefined
    return { value, faults, placeOf: (segments, what) => toPlace(locate(document, segments, what)) }
  } catch (error) {
    // What the library throws is bounded memory (aliases) or bounded depth (the stack); neither says where.
    const message = error instanceof RangeError ? 'is nested too deeply' : 'repeats its anchors more often than is allowed'
    return { value: undefined, faults: [{ place: start, message, hint: 'A configuration needs a few levels and a few anchors.' }], placeOf: () => start }
  }
}

function inOurWords (code: string, message: string): { message: string, hint: string | undefined } {
  switch (code) {
    case 'TAB_AS_INDENT': return { message: 'a tab is used as indentation', hint: 'YAML wants spaces.' }
    case 'MULTIPLE_DOCS': return { message: 'the file holds more than one document', hint: 'Remove the line --- and what follows, or merge it.' }
    case 'TAG_RESOLVE_FAILED': return { message: `the tag is not known (${message})`, hint: 'Tags (!name) are not needed. Quote a text that begins with !' }
    default: return { message: `not valid YAML: ${message}`, hint: undefined }
  }
}

interface StructureFault {
  readonly offset: number
  readonly message: string
  readonly hint: string | undefined
  readonly isRepeated?: true
}

/** Looking up an alias costs as much as the document is long. */
const maxAliases = 200

/** Duplicate keys, keys that are no names, aliases of nothing. */
function structureFaults (document: Document): StructureFault[] {
  const faults: StructureFault[] = []
  let aliases = 0
  const offsetOf = (node: unknown) => (node as Node).range?.[0] ?? 0
  visit(document, {
    Map (_, map) {
      const seen = new Set<string>()
      for (const { key } of map.items) {
        if (!isScalar(key) || key.value === null) {
          faults.push({ offset: offsetOf(key ?? map), message: 'a key must be a name', hint: 'Quote it if it has unusual characters.' })
          continue
        }
        const name = nameOf(key.value)
        if (seen.has(name)) faults.push({ offset: offsetOf(key), message: `the key "${name}" stands here twice`, hint: 'Only one can count: merge them or remove one.', isRepeated: true })
        if (name === '__proto__') faults.push({ offset: offsetOf(key), message: 'this name is not allowed', hint: undefined })
        seen.add(name)
      }
    },
    Alias (_, alias) {
      if (++aliases > maxAliases) {
        faults.push({ offset: offsetOf(alias), message: `more than ${maxAliases} aliases`, hint: undefined })
        return visit.BREAK
      }
      if (alias.resolve(document) === undefined) faults.push({ offset: offsetOf(alias), message: `no anchor &${alias.source} stands before this alias`, hint: 'Quote a text that begins with *' })
      return undefined
    }
  })
  return faults
}

const nameOf = (key: unknown) => typeof key === 'symbol' ? '<<' : String(key)

/** Offset of a value or of its key; where the text ends earlier, of the deepest part that exists. */
function locate (document: Document, segments: readonly string[], what: 'key' | 'value'): number {
  let node: unknown = document.contents
  let offset = (document.contents as Node | null)?.range?.[0] ?? 0
  for (const [depth, segment] of segments.entries()) {
    const inside = isAlias(node) ? node.resolve(document) : node
    let next: unknown
    if (isMap(inside)) {
      const pair = findPair(document, inside, segment)
      if (pair === undefined) return offset
      const isLast = depth === segments.length - 1
      const keyOffset = (pair.key as Node).range?.[0] ?? offset
      // An empty value stands nowhere: its key does.
      offset = (isLast && what === 'key') || isEmpty(pair.value) ? keyOffset : (pair.value as Node).range?.[0] ?? keyOffset
      next = pair.value
    } else if (isSeq(inside)) {
      next = inside.items[Number(segment)]
      if (next === undefined) return offset
      offset = (next as Node).range?.[0] ?? offset
    } else return offset
    node = next
  }
  return offset
}

const isEmpty = (node: unknown) => node === null || node === undefined || (isScalar(node) && node.value === null)

/** The pair of a name in a map, or in what the map merges (<<). */
function findPair (document: Document, map: YAMLMap, name: string): Pair | undefined {
  const own = map.items.find(({ key }) => isScalar(key) && nameOf(key.value) === name)
  if (own !== undefined) return own
  for (const { key, value } of map.items) {
    if (!isScalar(key) || nameOf(key.value) !== '<<') continue
    for (const source of isSeq(value) ? value.items : [value]) {
      const merged = isAlias(source) ? source.resolve(document) : source
      const found = isMap(merged) ? findPair(document, merged, name) : undefined
      if (found !== undefined) return found
    }
  }
  return undefined
}
