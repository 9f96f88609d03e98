// Whether what is told of a registration may be out of date: its registry does not vouch for it now, and its last good word stays in force. Pure.
import type { FailingPart, Registration, WatchState } from '../registry/registration.ts'
import type { CatalogEntry } from './catalog.ts'

export type StateOf = (registry: WatchState['registry']) => WatchState | undefined

/** Neither silent so far nor well: before the first answer there is neither an answer nor an error. */
export const isFailing = (state: WatchState | undefined): boolean => state !== undefined && !state.ok && state.error !== undefined

/** Whether a registration is listed there. */
export const isOf = ({ service, datacenter }: Pick<FailingPart, 'service' | 'datacenter'>, registration: Registration): boolean =>
  service === registration.registeredAs && (datacenter === undefined || datacenter === registration.datacenter)

/** Whether its registry fails to answer for this registration: of several datacenters and services it may be one. */
export function failsFor (state: WatchState | undefined, registration: Registration): boolean {
  if (state === undefined || !isFailing(state)) return false
  return state.failing === undefined || state.failing.some(part => isOf(part, registration))
}

/** The registry's last answer did not name it, or not in a form that can be read, or comes from disk. */
export const isUnvouched = ({ stale, unconfirmedSince, unread }: Pick<CatalogEntry, 'stale' | 'unconfirmedSince' | 'unread'>): boolean => stale || unconfirmedSince !== undefined || unread !== undefined

/**
 * When its registry's word on a registration was last good, ms since epoch: `now`, unless the registry fails, or has not answered since the start, or
 * its answer is not to be believed. 0: nobody remembers.
 */
export function vouchedAtOf (entry: CatalogEntry, stateOf: StateOf, now: number): number {
  const { registration } = entry
  if (registration.registry === 'config') return now
  if (isUnvouched(entry)) return entry.vouchedAt ?? 0
  const state = stateOf(registration.registry)
  if (state === undefined || !failsFor(state, registration)) return now
  return (state.failing?.find(part => isOf(part, registration)) ?? state).lastGoodAt ?? 0
}

/**
 * Whether nobody can have been told what has become of a registration since `since`, ms since epoch. What was known before its registry fell silent
 * is judged as it was then: a process that had no registration has none.
 */
export const isUnheard = (entry: CatalogEntry, since: number, stateOf: StateOf): boolean => vouchedAtOf(entry, stateOf, Infinity) < since

/** `reason`: as the end of a sentence; '' where the sentence on an unconfirmed registration says it already. Undefined: it is fresh. */
export function staleness (entry: CatalogEntry, stateOf: StateOf): string | undefined {
  const { registry } = entry.registration
  const state = stateOf(registry)
  if (registry === 'config') return undefined
  if (entry.stale && state?.failing !== undefined) return `known from before, and ${registry} has not answered for ${entry.registration.registeredAs} since it is watched${sayError(shortly(state.error))}`
  if (entry.stale) return `read from disk, and ${registry === 'file' ? 'the services file could not be read' : `${registry} has not answered`} since the start`
  if (state !== undefined && failsFor(state, entry.registration)) return sayFailing({ ...state, error: shortly(state.error) })
  if (entry.unconfirmedSince !== undefined) return ''
  return entry.unread === undefined ? undefined : `what ${registry} lists of it now cannot be read (${entry.unread}), and its last good form stays in force`
}

/** Of a file nobody is asked. */
export const whatFails = (registry: string): string => registry === 'file' ? 'the services file cannot be read' : `${registry} does not answer`

/** That it fails, since when its last good word counts, and what went wrong. */
export function sayFailing ({ registry, lastGoodAt, error }: { readonly registry: string, readonly lastGoodAt?: number | undefined, readonly error?: string | undefined }): string {
  const at = lastGoodAt === undefined ? undefined : `${new Date(lastGoodAt).toISOString().slice(0, 19)}Z`
  const since = at === undefined ? '' : registry === 'file' ? `, and counts as it was at ${at}` : `, last at ${at}`
  return `${whatFails(registry)}${since}${sayError(error)}`
}

const sayError = (error: string | undefined): string => error === undefined ? '' : ` (${error})`

const mostOfError = 200

/** For the end of a sentence: the first line has the place in a file and what is wrong there; what comes below it is the line of that file, and more mistakes. */
function shortly (error: string | undefined): string | undefined {
  const line = error?.split('\n', 1)[0]?.trimEnd()
  return line === undefined || line.length <= mostOfError ? line : `${line.slice(0, mostOfError)}…`
}
