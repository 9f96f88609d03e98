// Whether what is told of a registration may be out of date: its registry does not vouch for it now, and its last good word stays in force. Pure.
import type { Registration, WatchState } from '../registry/registration.ts'
import type { CatalogEntry } from './catalog.ts'

export type StateOf = (registry: WatchState['registry']) => WatchState | undefined

/** Neither silent so far nor well: before the first answer there is neither an answer nor an error. */
export const isFailing = (state: WatchState | undefined): boolean => state !== undefined && !state.ok && state.error !== undefined

/** Whether its registry fails to answer for this registration: of several datacenters and services it may be one. */
export function failsFor (state: WatchState | undefined, { registeredAs, datacenter }: Registration): boolean {
  if (state === undefined || !isFailing(state)) return false
  return state.failing === undefined || state.failing.some(part => part.service === registeredAs && (part.datacenter === undefined || part.datacenter === datacenter))
}

/** The registry's last answer did not name it, or not in a form that can be read, or comes from disk. */
export const isUnvouched = ({ stale, unconfirmedSince, unread }: Pick<CatalogEntry, 'stale' | 'unconfirmedSince' | 'unread'>): boolean => stale || unconfirmedSince !== undefined || unread !== undefined

/** Whether nobody can be asked what has become of it since: its registry fails, or has not answered since the start, or its answer is not to be believed. */
export function isUnheard (entry: CatalogEntry, stateOf: StateOf): boolean {
  const { registry } = entry.registration
  return registry !== 'config' && (isUnvouched(entry) || failsFor(stateOf(registry), entry.registration))
}

/** `reason`: as the end of a sentence; '' where the sentence on an unconfirmed registration says it already. Undefined: it is fresh. */
export function staleness (entry: CatalogEntry, stateOf: StateOf): string | undefined {
  const { registry } = entry.registration
  const state = stateOf(registry)
  if (registry === 'config') return undefined
  if (entry.stale) return `read from disk, and ${registry} has not answered since the start`
  if (failsFor(state, entry.registration)) return `${registry} does not answer${sayLast(state)}`
  if (entry.unconfirmedSince !== undefined) return ''
  return entry.unread === undefined ? undefined : `what ${registry} lists of it now cannot be read (${entry.unread}), and its last good form stays in force`
}

/** Since when, and what went wrong. */
export function sayLast (state: WatchState | undefined): string {
  const { lastGoodAt, error } = state ?? {}
  const since = lastGoodAt === undefined ? '' : `, last at ${new Date(lastGoodAt).toISOString().slice(0, 19)}Z`
  return `${since}${error === undefined ? '' : ` (${error.slice(0, 200)})`}`
}
