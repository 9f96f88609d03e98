// The last good state on disk, so that a restart without Consul serves at once: written whole or not at all, never trusted blindly. I/O.
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { Markers } from '../contracts/markers.ts'
import { toOperationList, type Operation, type OperationList } from '../contracts/operations.ts'
import { setAside, writeWhole } from '../lib/whole-file.ts'
import type { Effect } from '../exchange/effect.ts'
import type { SaidNode } from '../registry/own-nodes.ts'
import type { Registration } from '../registry/registration.ts'
import type { Config } from '../config/schema.ts'
import { mostNames, type ResolvedName } from './admission.ts'
import { keyOf, type CatalogEntry, type RegistryMemory } from './catalog.ts'
import { mostDeparted } from './departed.ts'
import { fromBefore, type Knowledge } from './knowledge.ts'
import type { Mark, Marks } from './marks.ts'
import type { Owner } from './ownership.ts'
import { sourceOf, type WatchedRegistry } from './watches.ts'

export interface KeptState {
  readonly registries: ReadonlyArray<{ readonly registry: Registration['registry'], readonly source: string, readonly index: number | undefined, readonly missing?: RegistryMemory['missing'], readonly entries: readonly CatalogEntry[] }>
  readonly knowledge: ReadonlyArray<readonly [url: string, knowledge: Knowledge]>
  readonly owners: ReadonlyArray<readonly [key: string, owner: Owner]>
  /** Every name ever claimed, lower-cased. */
  readonly claimed?: readonly string[]
  /** Names that nobody claims any more. */
  readonly departed?: ReadonlyArray<readonly [key: string, upstream: string]>
  /** What the host names of endpoints resolved to. */
  readonly names?: readonly ResolvedName[]
  /** Which nodes agents here named as this machine. */
  readonly ownNodes?: readonly SaidNode[]
  /** Since when each name and registration stands as it does. */
  readonly marks?: Marks
}

const version = 1
const fileName = 'control-state.json'
/** A larger file is not ours: 5,000 instances with 20,000 messages make about 20 MB. */
export const mostBytes = 268_435_456

interface OnDisk {
  readonly version: number
  readonly savedAt: string
  readonly registries: KeptState['registries']
  /** Lists are shared by the instances of a service, so each is written once. */
  readonly lists: ReadonlyArray<readonly Operation[]>
  /** Numbers of those of which something was left out; absent in files of older versions. */
  readonly cutLists?: readonly number[]
  /** Likewise; absent in files of older versions. */
  readonly markers?: ReadonlyArray<ReadonlyArray<readonly [key: string, effect: Effect]>>
  readonly knowledge: ReadonlyArray<readonly [url: string, knowledge: Omit<Knowledge, 'listed' | 'lastList' | 'markers'> & { readonly list: number | undefined, readonly lastList?: number | undefined, readonly none: string | undefined, readonly markers?: number | undefined }]>
  readonly owners: KeptState['owners']
  readonly claimed?: KeptState['claimed']
  readonly departed?: KeptState['departed']
  readonly names?: KeptState['names']
  readonly ownNodes?: KeptState['ownNodes']
  readonly marks?: ReadonlyArray<readonly [group: string, marks: ReadonlyArray<readonly [subject: string, mark: Mark]>]>
}

/** The text of the file. Pure. */
export function serializeState (state: KeptState, now: Date): string {
  const numbers = new Map<OperationList, number>()
  const markerNumbers = new Map<Markers, number>()
  const knowledge = state.knowledge.map(([url, { listed, lastList, markers, ...rest }]) => {
    for (const list of [listed?.state === 'read' ? listed.list : undefined, lastList]) if (list !== undefined && !numbers.has(list)) numbers.set(list, numbers.size)
    if (markers !== undefined && !markerNumbers.has(markers)) markerNumbers.set(markers, markerNumbers.size)
    return [url, {
      ...rest,
      markers: markers === undefined ? undefined : markerNumbers.get(markers),
      list: listed?.state === 'read' ? numbers.get(listed.list) : undefined,
      lastList: lastList === undefined ? undefined : numbers.get(lastList),
      none: listed?.state === 'none' ? listed.reason : undefined
    }] as const
  })
  const content: OnDisk = { version, savedAt: now.toISOString(), registries: state.registries, lists: [...numbers.keys()].map(({ operations }) => operations), cutLists: [...numbers].filter(([{ isCut }]) => isCut).map(([, number]) => number), markers: [...markerNumbers.keys()].map(markers => [...markers]), knowledge, owners: state.owners, claimed: state.claimed ?? [], departed: state.departed ?? [], names: state.names ?? [], ownNodes: state.ownNodes ?? [], marks: [...state.marks ?? []].map(([group, marks]) => [group, [...marks]]) }
  return JSON.stringify(content)
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isPair = (value: unknown): value is [string, Record<string, unknown>] => Array.isArray(value) && typeof value[0] === 'string' && isObject(value[1])

function isEntry (value: unknown): value is CatalogEntry {
  if (!isObject(value) || typeof value['firstSeenAt'] !== 'number' || !isObject(value['registration'])) return false
  const { id, service, names, tags, health, createIndex, weights, meta } = value['registration']
  return typeof id === 'string' && typeof service === 'string' && Array.isArray(names) && names.every(name => typeof name === 'string') &&
    Array.isArray(tags) && typeof health === 'string' && typeof createIndex === 'number' && isObject(weights) && isObject(meta)
}

function isMissing (parts: unknown): boolean {
  return parts === undefined || (Array.isArray(parts) && parts.every(part => isObject(part) && typeof part['service'] === 'string' && ['string', 'undefined'].includes(typeof part['datacenter'])))
}

/**
 * Reads the text back. Pure.
 * @throws Error when it is not such a file
 */
export function parseState (text: string): KeptState {
  const value: unknown = JSON.parse(text)
  if (!isObject(value)) throw new Error('it is no object')
  if (value['version'] !== version) throw new Error(`it has version ${String(value['version'])}, and this program reads ${version}`)
  const { registries, lists, cutLists = [], markers: markerLists = [], knowledge, owners, claimed = [], departed = [], names = [], ownNodes = [], marks = [] } = value
  if (!Array.isArray(registries) || !Array.isArray(lists) || !Array.isArray(cutLists) || !Array.isArray(markerLists) || !Array.isArray(knowledge) || !Array.isArray(owners) || !Array.isArray(claimed) || !Array.isArray(names) || !Array.isArray(ownNodes) || !Array.isArray(departed) || !Array.isArray(marks)) throw new Error('a part of it is missing')
  const markerMaps = markerLists.map(list => toMarkersAgain(list))
  const operationLists = lists.map((list, number) => toOperationList(list as Operation[], cutLists.includes(number)))
  return {
    registries: registries.map(part => {
      if (!isObject(part) || !Array.isArray(part['entries']) || !part['entries'].every(isEntry) || !isMissing(part['missing'])) throw new Error('its registrations cannot be read')
      return part as unknown as KeptState['registries'][number]
    }),
    knowledge: knowledge.map(pair => {
      if (!isPair(pair)) throw new Error('its answers cannot be read')
      const [url, { list, lastList, none, markers, ...rest }] = pair
      const read = typeof list === 'number' ? operationLists[list] : undefined
      const listed = read !== undefined ? { state: 'read' as const, list: read } : typeof none === 'string' ? { state: 'none' as const, reason: none } : undefined
      return [url, fromBefore({ ...(rest as unknown as Omit<Knowledge, 'listed' | 'lastList' | 'markers'>), ownId: rest['ownId'] as string | undefined, ownSince: typeof rest['ownSince'] === 'number' ? rest['ownSince'] : 0, listed, ...(typeof lastList === 'number' ? { lastList: operationLists[lastList] } : {}), markers: typeof markers === 'number' ? markerMaps[markers] : undefined })] as const
    }),
    names: names.slice(0, mostNames).map(toNameAgain),
    ownNodes: ownNodes.map(toOwnNodeAgain),
    departed: departed.slice(-mostDeparted).map(toDepartedAgain),
    claimed: claimed.filter(key => typeof key === 'string'),
    marks: new Map(marks.map(toMarksAgain)),
    owners: owners.map(pair => {
      if (!isPair(pair) || typeof pair[1]['upstream'] !== 'string' || typeof pair[1]['since'] !== 'number') throw new Error('its owners cannot be read')
      return pair as unknown as KeptState['owners'][number]
    })
  }
}

function toDepartedAgain (pair: unknown): readonly [key: string, upstream: string] {
  const [key, upstream] = Array.isArray(pair) ? pair as unknown[] : []
  if (typeof key !== 'string' || typeof upstream !== 'string') throw new Error('its departed names cannot be read')
  return [key, upstream]
}

function toNameAgain (pair: unknown): ResolvedName {
  const [host, ips] = Array.isArray(pair) ? pair as unknown[] : []
  if (typeof host !== 'string' || !Array.isArray(ips) || !ips.every(ip => typeof ip === 'string' && isIP(ip) !== 0)) throw new Error('its host names cannot be read')
  return [host, ips]
}

function toOwnNodeAgain (pair: unknown): SaidNode {
  if (!isPair(pair) || typeof pair[1]['node'] !== 'string' || !['string', 'undefined'].includes(typeof pair[1]['datacenter'])) throw new Error('its own nodes cannot be read')
  return pair as unknown as SaidNode
}

function toMarksAgain (pair: unknown): [group: string, marks: ReadonlyMap<string, Mark>] {
  const [group, marks] = Array.isArray(pair) ? pair as unknown[] : []
  const isMark = (one: unknown) => isPair(one) && typeof one[1]['state'] === 'string' && typeof one[1]['since'] === 'number'
  if (typeof group !== 'string' || !Array.isArray(marks) || !marks.every(isMark)) throw new Error('its times cannot be read')
  return [group, new Map(marks as Array<[string, Mark]>)]
}

const effects: readonly unknown[] = ['safe', 'idempotent', 'unsafe'] satisfies Effect[]

function toMarkersAgain (list: unknown): Markers {
  if (!Array.isArray(list) || !list.every(pair => Array.isArray(pair) && typeof pair[0] === 'string' && effects.includes(pair[1]))) throw new Error('its markers cannot be read')
  return new Map(list as Array<[string, Effect]>)
}

/** What was kept of the registries that are still configured as they were: the operator may have pointed us somewhere else since. Pure. */
export function * memoriesOf (kept: KeptState, config: Config['registry']): Generator<[WatchedRegistry, RegistryMemory]> {
  for (const { registry, source, index, missing = [], entries } of kept.registries) {
    if (registry === 'config' || config[registry] === undefined || sourceOf(config, registry) !== source) continue
    yield [registry, { index, missing, entries: new Map(entries.map(entry => [keyOf(entry.registration), { ...entry, stale: true }])) }]
  }
}

export interface StateFile {
  /** Undefined when there is none. A file that cannot be read is reported to `onProblem`, set aside and ignored. */
  load (): Promise<KeptState | undefined>
  /** Writes soon; several calls in a row become one. What could not be written is tried again until it can be. */
  save (state: () => KeptState): void
  /** Writes what waits to be written at once. Resolves with whether all that was to be written is on disk. */
  flush (): Promise<boolean>
  /** Writes what is still to be written, what could not be written before included. */
  close (): Promise<void>
}

/** A large state is written more rarely: writing takes at most this part of the control thread's time. */
const writingShare = 1 / 50

export interface StateFileOptions {
  /** How long changes are gathered before they are written, at least, ms. */
  readonly delayMs?: number
  /** After how long what could not be written is tried again, at least, ms. */
  readonly retryMs?: number
  /** Told when it changes, and at first: whether what was to be written last is on disk. */
  readonly onKept?: (isKept: boolean) => void
}

export function createStateFile (directory: string, onProblem: (problem: string, error: Error) => void, { delayMs = 1_000, retryMs = 5_000, onKept }: StateFileOptions = {}): StateFile {
  const path = join(directory, fileName)
  let waiting: (() => KeptState) | undefined
  let timer: NodeJS.Timeout | undefined
  let writing: Promise<void> = Promise.resolve()
  let closed = false

  /** How long the last one took to put together, ms. */
  let tookMs = 0
  /** What went wrong last is told once, not at every change; undefined: the last one was written. */
  let problem: string | undefined
  let isKept: boolean | undefined

  const tell = (error: Error | undefined) => {
    if (error !== undefined && error.message !== problem) onProblem('the state could not be kept', error)
    problem = error?.message
    if (isKept === (error === undefined)) return
    isKept = error === undefined
    onKept?.(isKept)
  }

  const write = async (state: () => KeptState) => {
    const startedAtMs = performance.now()
    try {
      const text = serializeState(state(), new Date())
      tookMs = performance.now() - startedAtMs
      if (text.length > mostBytes) throw new Error(`the state is longer than ${mostBytes} bytes`)
      await writeWhole(path, text)
      tell(undefined)
    } catch (error) {
      // A newer one may wait already.
      waiting ??= state
      wait(retryMs)
      tell(error as Error)
    }
  }

  const flush = () => {
    clearTimeout(timer)
    timer = undefined
    const state = waiting
    waiting = undefined
    if (state !== undefined) writing = writing.then(() => write(state))
    return writing
  }

  const wait = (ms: number) => {
    if (!closed) timer ??= setTimeout(flush, Math.max(ms, tookMs / writingShare))
  }

  return {
    async load () {
      try {
        const { size } = await stat(path)
        if (size > mostBytes) throw new Error(`it is longer than ${mostBytes} bytes`)
        return parseState(await readFile(path, 'utf8'))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') onProblem(`the kept state cannot be read and is ignored: ${await setAside(path)}`, error as Error)
        return undefined
      }
    },
    save (state) {
      waiting = state
      wait(delayMs)
    },
    async flush () {
      await flush()
      return isKept !== false
    },
    async close () {
      closed = true
      clearTimeout(timer)
      timer = undefined
      // What is being written may fail, and is then what still waits.
      await writing
      await flush()
    }
  }
}
