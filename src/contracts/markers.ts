// What the DTOs say of themselves: the markers in an answer of GET /types/metadata.json, as the effect of each message. Pure.
import { stricter, type Effect } from '../exchange/effect.ts'
import { SharedByText } from '../lib/shared-by-text.ts'
import type { GetResult } from './get.ts'
import { operationLimits, property, type Operation } from './operations.ts'

/** By the message's lower-cased name; messages without a marker are not in it. */
export type Markers = ReadonlyMap<string, Effect>

/** ServiceStack's interfaces of that name; a service's own of the same name say nothing. */
const effects: Readonly<Record<string, Effect>> = { IGet: 'safe', IPut: 'idempotent', IDelete: 'idempotent', IPost: 'unsafe', IPatch: 'unsafe' }

export const noMarkers: Markers = new Map()

/** The markers in a body of /types/metadata; undefined when it is no such answer. One bad entry never spoils the rest. */
export function parseMarkers (body: string): Markers | undefined {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch {
    // HTML, or a cut answer: it says nothing.
    return undefined
  }
  const operations = typeof value === 'object' && value !== null ? property(value, 'operations') : undefined
  if (!Array.isArray(operations)) return undefined
  const markers = new Map<string, Effect>()
  for (const operation of operations.slice(0, operationLimits.operations)) {
    const request = isObject(operation) ? property(operation, 'request') : undefined
    const name = isObject(request) ? property(request, 'name') : undefined
    if (!isObject(request) || typeof name !== 'string' || name.length > operationLimits.nameLength) continue
    const effect = stricter(markers.get(name.toLowerCase()), effectOfMarkers(property(request, 'implements')))
    if (effect !== undefined) markers.set(name.toLowerCase(), effect)
  }
  return markers
}

const mostInterfaces = 64
const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

function effectOfMarkers (interfaces: unknown): Effect | undefined {
  let effect: Effect | undefined
  for (const one of Array.isArray(interfaces) ? interfaces.slice(0, mostInterfaces) : []) {
    if (!isObject(one) || property(one, 'namespace') !== 'ServiceStack') continue
    const name = property(one, 'name')
    if (typeof name === 'string' && Object.hasOwn(effects, name)) effect = stricter(effect, effects[name])
  }
  return effect
}

/** What an answer says; `later`: not now, ask again. Who publishes none has none. */
export function toMarkers (result: GetResult, parse: (body: string) => Markers | undefined = parseMarkers): Markers | 'later' {
  if (result.kind !== 'answer' || result.status >= 500 || result.status === 429 || result.status === 408) return 'later'
  return result.status === 200 ? parse(result.body) ?? noMarkers : noMarkers
}

/** A parser whose results are one object for the instances of a service, although each writes its own address into its answer. */
export function createMarkerParser (): (body: string) => Markers | undefined {
  const shared = new SharedByText<Markers>()
  return body => {
    const markers = parseMarkers(body)
    return markers && shared.get(JSON.stringify([...markers]), () => markers)
  }
}

/** A marker names one verb: where the service lists several for a message, it speaks of one of them only and decides nothing. */
export function markedEffect ({ name, actions }: Operation, markers: Markers | undefined): Effect | undefined {
  return actions.length > 1 ? undefined : markers?.get(name.toLowerCase())
}
