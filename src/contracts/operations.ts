// What a ServiceStack host says of its own messages: parses the answer of GET /operations/metadata. Pure.

/** One message as its service lists it. */
export interface Operation {
  readonly name: string
  /** Not meant for callers from outside ([Restrict]): hidden unless the operator says otherwise. */
  readonly restricted: boolean
  /** Whether a suggestion may name it (visibleTo). Decides nothing else. */
  readonly visible: boolean
  /** Upper-case verbs; ANY = every verb. */
  readonly actions: readonly string[]
  /** RESTful paths: /products/{Id}. */
  readonly routes: readonly string[]
}

/** A whole list, with the two ways a tag can name an operation. */
export interface OperationList {
  readonly operations: readonly Operation[]
  /** By lower-cased name. */
  readonly byName: ReadonlyMap<string, Operation>
  /** By the lower-cased last dotted part, for nested types of 5.x hosts (Outer.Inner is tagged Inner). */
  readonly byLastPart: ReadonlyMap<string, readonly Operation[]>
  /** Something of it was left out: what its service has is not wholly known. */
  readonly isCut: boolean
}

/** Bounds on hostile lists. What is beyond them is left out, so it is never routed by name; and nothing by a path that only the host knows (`isCut`). */
export const operationLimits = { operations: 20_000, nameLength: 256, routes: 64, routeLength: 1_024, actions: 32, actionLength: 32, audiences: 64 } as const

/** What a path segment can carry unescaped or escaped without changing its meaning: no separators, no controls, no white space. */
// eslint-disable-next-line no-control-regex -- control characters are what is looked for
const unroutable = /[\u0000-\u0020\u007f/\\?#%+;[\]]/

/** Whether a text can be a message name at all. */
export function isMessageName (name: string): boolean {
  return name.length > 0 && name.length <= operationLimits.nameLength && !unroutable.test(name)
}

const open = new Set(['Any', 'AnyNetworkAccessType', 'External'])

/**
 * Whether an audience list (restrictTo, visibleTo) leaves callers from outside out. Absent: nobody is left out. Each entry is flags
 * joined by commas; only the exact words count: `AnySecurityMode, …, InternalNetworkAccess` is restricted although it says "Any".
 * Anything unreadable counts as restricted.
 */
export function excludesOutside (audience: unknown): boolean {
  if (audience === undefined || audience === null) return false
  const entries = typeof audience === 'string' ? [audience] : audience
  if (!Array.isArray(entries)) return true
  return !entries.slice(0, operationLimits.audiences).some(entry =>
    typeof entry === 'string' && entry.length <= 4_096 && entry.split(',').some(flag => open.has(flag.trim())))
}

/** Property of a JSON object in any letter case: .NET Framework hosts write PascalCase. */
export function property (value: object, lowerName: string): unknown {
  for (const [name, content] of Object.entries(value)) if (name.toLowerCase() === lowerName) return content
  return undefined
}

/** `isCut`: something is left out. */
interface Texts { readonly texts: readonly string[], readonly isCut: boolean }

function toTexts (value: unknown, most: number, isText: (item: string) => boolean): Texts {
  if (!Array.isArray(value)) return { texts: [], isCut: value !== undefined && value !== null }
  const texts = value.slice(0, most).filter((item): item is string => typeof item === 'string' && isText(item))
  return { texts, isCut: texts.length < value.length }
}

const isAction = (text: string): boolean => text.length > 0 && text.length <= operationLimits.actionLength
const isRoute = (text: string): boolean => text.startsWith('/') && text.length <= operationLimits.routeLength

function parseOperation (entry: unknown): { readonly operation: Operation, readonly isCut: boolean } | undefined {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) return undefined
  const name = property(entry, 'name')
  if (typeof name !== 'string' || !isMessageName(name)) return undefined
  const actions = toTexts(property(entry, 'actions'), operationLimits.actions, isAction)
  const routes = toTexts(property(entry, 'routes'), operationLimits.routes, isRoute)
  return {
    operation: {
      name,
      restricted: excludesOutside(property(entry, 'restrictto')),
      visible: !excludesOutside(property(entry, 'visibleto')),
      actions: actions.texts.map(action => action.toUpperCase()),
      routes: routes.texts
    },
    isCut: actions.isCut || routes.isCut
  }
}

/** Two entries of one name are one message with the stricter rights of both. */
function joined (one: Operation, other: Operation): Operation {
  return {
    name: one.name,
    restricted: one.restricted || other.restricted,
    visible: one.visible && other.visible,
    actions: [...new Set([...one.actions, ...other.actions])],
    routes: [...new Set([...one.routes, ...other.routes])]
  }
}

/** Builds the indexes of a list; also used for lists read back from disk. */
export function toOperationList (operations: Iterable<Operation>, isCut = false): OperationList {
  const byName = new Map<string, Operation>()
  for (const operation of operations) {
    const key = operation.name.toLowerCase()
    const twin = byName.get(key)
    byName.set(key, twin === undefined ? operation : joined(twin, operation))
  }
  const byLastPart = new Map<string, Operation[]>()
  for (const [key, operation] of byName) {
    const dot = key.lastIndexOf('.')
    if (dot === -1) continue
    const part = key.slice(dot + 1)
    const same = byLastPart.get(part)
    if (same === undefined) byLastPart.set(part, [operation])
    else same.push(operation)
  }
  return { operations: [...byName.values()], byName, byLastPart, isCut }
}

/** Every operation a tag or a name may mean. */
export function findOperations (list: OperationList, key: string): readonly Operation[] {
  const exact = list.byName.get(key)
  const nested = list.byLastPart.size === 0 ? undefined : list.byLastPart.get(key)
  if (exact === undefined) return nested ?? []
  return nested === undefined ? [exact] : [exact, ...nested]
}

/** The list in a body of /operations/metadata; undefined when the body is no such list. One bad entry never spoils the rest. */
export function parseOperations (body: string): OperationList | undefined {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    // Not JSON: HTML or a cut answer. The caller tells the two apart.
    return undefined
  }
  if (!Array.isArray(value)) return undefined
  const parsed = value.slice(0, operationLimits.operations).map(parseOperation).filter(entry => entry !== undefined)
  // A JSON array of something else is not a list of operations; an empty array is.
  if (parsed.length === 0 && value.length > 0) return undefined
  return toOperationList(parsed.map(({ operation }) => operation), parsed.length < value.length || parsed.some(({ isCut }) => isCut))
}
