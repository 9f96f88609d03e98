// What endpoints have said of themselves, answer by answer: a later doubt never erases an earlier list. Pure.
import type { Answer, Listed } from '../contracts/ask.ts'
import type { Markers } from '../contracts/markers.ts'
import type { OperationList } from '../contracts/operations.ts'
import { freshMs } from '../upstream/doubts.ts'

export interface Knowledge {
  /** Id of the running process; undefined when it reports none or never answered. */
  readonly ownId: string | undefined
  /** Since when it is that, ms since epoch; 0 where an older version wrote it down. */
  readonly ownSince: number
  /** Undefined before the first answer. */
  readonly listed: Listed | undefined
  readonly servicestackVersion: string | undefined
  readonly apiForm: boolean
  /** Date.now() of the last answer. */
  readonly answeredAt: number | undefined
  /** What the last finished question was asked for; see AskTarget keys in endpoints.ts. */
  readonly key: string
  /** Set while the last question got no good answer. `since` is Infinity while only an earlier run of ours has asked. `listens`: see Answer. */
  readonly silent: { readonly since: number, readonly reached: boolean, readonly reason: string, readonly listens?: true } | undefined
  /** Set when the last good answer came with a failing heartbeat: known, but not well. */
  readonly sick?: string | undefined
  /** What its DTOs say of themselves; undefined while that is not read. */
  readonly markers?: Markers | undefined
  /** Set when the last good answer came with a health check that warns. */
  readonly warns?: string | undefined
  /** Whoever answers there says 200 to everything, and neither who it is nor what it lists; or denies all that a process there has said before. */
  readonly strange?: true
  /** With `strange`: what the process there listed before whoever answers now. */
  readonly lastList?: OperationList | undefined
  /** It has answered well before, as the process it is now: what is wrong since is a failing check, not a start that never came. */
  readonly wasWell?: boolean
}

function learnSilence (before: Knowledge | undefined, { reached, reason, listens, listed: denied }: Extract<Answer, { kind: 'silent' }>, key: string, now: number): Knowledge {
  const known = before ?? { ownId: undefined, ownSince: now, listed: undefined, servicestackVersion: undefined, apiForm: false, answeredAt: undefined }
  // "Nobody there" counts from the first such answer in a row; a process that spoke in between starts it anew, and of one that listens so does another word of its registry.
  const isSame = before?.silent !== undefined && before.silent.reached === reached && before.silent.listens === listens && (listens === undefined || before.key === key)
  const since = isSame ? Math.min(before.silent.since, now) : now
  const listed = known.listed?.state === 'read' ? known.listed : denied ?? known.listed
  const isStrange = denied !== undefined && known.ownId !== undefined
  return { ...known, ...(isStrange ? { strange: true } : {}), listed, key, silent: { since, reached, reason, ...(listens === undefined ? {} : { listens }) } }
}

const lastListOf = (known: Knowledge | undefined): OperationList | undefined => known?.listed?.state === 'read' ? known.listed.list : known?.lastList

/** What is known after one more answer. `key`: what it was asked for. `now`: ms since epoch. */
export function learn (before: Knowledge | undefined, answer: Answer, key: string, now: number): Knowledge {
  if (answer.kind === 'silent') return learnSilence(before, answer, key, now)
  // One process never changes its list; whoever reports no id may be somebody else, whose "none" counts.
  const sameProcess = before !== undefined && before.ownId === answer.ownId
  const keepsList = before?.listed?.state === 'read' && sameProcess && (answer.listed.state === 'unread' || (answer.listed.state === 'none' && answer.ownId !== undefined))
  // Nor does a doubt make a ServiceStack host of who has said already that it is none.
  const keepsNone = before?.listed?.state === 'none' && answer.listed.state === 'unread' && [before, answer].every(({ ownId, servicestackVersion }) => ownId === undefined && servicestackVersion === undefined)
  const listed = keepsList || keepsNone ? before.listed : answer.listed
  // Whoever reports no id is the same process as long as it lists the same.
  const keepsMarkers = sameProcess && (answer.ownId !== undefined || (before?.listed?.state === 'read' && listed?.state === 'read' && before.listed.list === listed.list))
  return {
    ownId: answer.ownId,
    ownSince: sameProcess ? before.ownSince : now,
    listed,
    servicestackVersion: answer.servicestackVersion,
    apiForm: answer.apiForm,
    answeredAt: now,
    key,
    silent: undefined,
    sick: answer.sick,
    markers: keepsMarkers ? before?.markers : undefined,
    warns: answer.warns,
    ...(answer.strange === true ? { strange: true, lastList: lastListOf(before) } : {}),
    wasWell: answer.sick === undefined || (sameProcess && before.wasWell === true)
  }
}

/** Nobody knows yet whether there is a list, or what is in it. */
export const isUnread = (known: Knowledge | undefined): boolean => (known?.listed?.state ?? 'unread') === 'unread'

/** Why the list is not read, by what came of the last question; undefined where it is, where none is published, and before an answer. */
export function whyUnread (known: Knowledge | undefined): string | undefined {
  const { listed, silent } = known ?? {}
  return listed === undefined || listed.state === 'unread' ? silent?.reason ?? listed?.reason : undefined
}

/** What was known when Postern ran last: how long somebody was silent while nobody asked, nobody knows. */
export function fromBefore (known: Knowledge): Knowledge {
  return known.silent === undefined ? known : { ...known, silent: { ...known.silent, since: Infinity } }
}

/** A call had an answer of it at `at`, ms since epoch, whatever our own questions had: its silence begins anew. */
export function heard (known: Knowledge, at: number): Knowledge {
  return known.silent === undefined || at <= known.silent.since ? known : { ...known, silent: { ...known.silent, since: at } }
}

/** Whether nobody was there when it was asked last, by this run of ours. */
export const isDead = (known: Knowledge | undefined): boolean => known?.silent !== undefined && !known.silent.reached && known.silent.listens === undefined && known.silent.since !== Infinity

/** Whether it has spoken so lately that it need not be asked who it is. `now`: ms since epoch. */
export const isFresh = (known: Knowledge | undefined, now: number): boolean => known?.answeredAt !== undefined && known.silent === undefined && Math.abs(now - known.answeredAt) < freshMs

/** Adds what an endpoint's DTOs say of themselves. Whether anything is known of the endpoint. */
export function learnMarkers (knowledge: Map<string, Knowledge>, url: string, markers: Markers): boolean {
  const known = knowledge.get(url)
  if (known !== undefined) knowledge.set(url, { ...known, markers })
  return known !== undefined
}

function isSameSilence (a: Knowledge['silent'], b: Knowledge['silent']): boolean {
  return a?.since === b?.since && a?.reached === b?.reached && a?.listens === b?.listens && a?.reason === b?.reason
}

/** Whether two states of knowledge lead to the same decisions. */
export function isSameKnowledge (a: Knowledge | undefined, b: Knowledge | undefined): boolean {
  return a !== undefined && b !== undefined && a.ownId === b.ownId && a.key === b.key && a.apiForm === b.apiForm && a.servicestackVersion === b.servicestackVersion && a.sick === b.sick && a.markers === b.markers && a.warns === b.warns && a.strange === b.strange && a.wasWell === b.wasWell &&
    isSameSilence(a.silent, b.silent) &&
    (a.answeredAt === undefined) === (b.answeredAt === undefined) &&
    a.listed?.state === b.listed?.state && (a.listed?.state !== 'read' || b.listed?.state !== 'read' || a.listed.list === b.listed.list)
}
