// The answer of /api/routes as text for a screen of any width. Pure.
import { sayFailing } from '../control/stale.ts'
import { printable } from './terminal.ts'

export interface RouteRow {
  readonly message: string
  readonly state: string
  readonly upstream: string
  readonly endpoints: number
  /** What repeating it does: safe, idempotent, unsafe, or by method. Gateways before it was told leave it out. */
  readonly effect?: string
  /** Who says so: yaml or marker. */
  readonly effectFrom?: string
  readonly why: string
  /** What would change it. */
  readonly hint?: string
  /** Since when it stands so, UTC. */
  readonly since?: string
}

export interface RegistrationRow extends Omit<RouteRow, 'message' | 'endpoints'> {
  readonly registration: string
  readonly url: string
}

/** How a registry is doing. */
export interface RegistryRow {
  readonly registry: string
  readonly ok: boolean
  /** ms since epoch; left out: it never answered. */
  readonly lastGoodAt?: number
  readonly error?: string
  /** Registrations in force that it does not vouch for now. */
  readonly stale: number
  /** What it lists that nobody can read. */
  readonly dropped?: { readonly count: number, readonly reasons: readonly string[] }
}

export interface RoutesAnswer {
  readonly routes: readonly RouteRow[]
  readonly registrations: readonly RegistrationRow[]
  readonly prefixes: ReadonlyArray<{ readonly path: string, readonly upstream: string, readonly endpoints: number }>
  readonly customRoutes: ReadonlyArray<{ readonly path: string, readonly verbs: readonly string[], readonly message: string, readonly upstream: string }>
  /** Where messages go that nobody knows; left out: nowhere. */
  readonly fallback?: { readonly upstream: string, readonly endpoints: number } | undefined
  /** Paths that two messages want: `message` does not get it. Gateways before their reasons were told leave them out. */
  readonly pathConflicts?: ReadonlyArray<{ readonly path: string, readonly upstream: string, readonly message: string, readonly conflictWith: string, readonly why?: string, readonly hint?: string }>
  /** Gateways before it was told leave it out. */
  readonly registries?: readonly RegistryRow[]
}

export interface RouteFilter {
  readonly states: readonly string[] | undefined
  readonly grep: RegExp | undefined
}

export interface Screen {
  /** Undefined: no screen; lines are as long as they are. */
  readonly columns: number | undefined
  readonly colours: boolean
}

/** Columns are no wider than this on a screen; on paper they are as wide as they need. */
const widestName = 40
/** Narrower than this, the reason goes on lines of its own. */
const narrowestReason = 34

export function filterRoutes (answer: RoutesAnswer, { states, grep }: RouteFilter): RoutesAnswer {
  const matches = (...texts: string[]) => grep === undefined || texts.some(text => grep.test(text))
  const all = states === undefined
  return {
    ...answer,
    routes: answer.routes.filter(route => (all || states.includes(route.state)) && matches(route.message, route.upstream, route.why)),
    registrations: answer.registrations.filter(row => (all || states.includes(row.state)) && matches(row.registration, row.upstream, row.url, row.why)),
    prefixes: all || states.includes('routed') ? answer.prefixes.filter(prefix => matches(prefix.path, prefix.upstream)) : [],
    customRoutes: all || states.includes('routed') ? answer.customRoutes.filter(route => matches(route.path, route.message, route.upstream)) : [],
    fallback: answer.fallback !== undefined && (all || states.includes('routed')) && matches('(fallback)', answer.fallback.upstream) ? answer.fallback : undefined,
    ...answer.pathConflicts === undefined ? {} : { pathConflicts: all || states.includes('conflict') ? answer.pathConflicts.filter(({ path, message, upstream, conflictWith }) => matches(path, message, upstream, conflictWith)) : [] }
  }
}

export function formatRoutes (answer: RoutesAnswer, screen: Screen): string {
  const troubles = (answer.registries ?? []).flatMap(sayTroubles)
  const sections = troubles.length === 0 ? [] : [`${troubles.flatMap(trouble => trouble.split('\n')).map(printable).join('\n')}\n`]
  if (answer.routes.length > 0) sections.push(formatMessages(answer.routes, screen))
  if (answer.registrations.length > 0) sections.push(formatRegistrations(answer.registrations, screen))
  if (answer.customRoutes.length > 0) {
    sections.push(formatColumns(['PATH', 'VERBS', 'MESSAGE', 'UPSTREAM'], answer.customRoutes.map(({ path, verbs, message, upstream }) => [path, verbs.join(' ') || 'any', message, upstream])))
  }
  if (answer.pathConflicts !== undefined && answer.pathConflicts.length > 0) sections.push(formatReasoned(['PATH', 'STATE', 'UPSTREAM', 'MESSAGE'], answer.pathConflicts.map(({ path, upstream, message, why = '', hint }) => ({ cells: [printable(path), 'conflict', printable(upstream), printable(message)], reason: toReason({ why, ...hint === undefined ? {} : { hint } }) })), screen))
  if (answer.prefixes.length > 0) {
    sections.push(formatColumns(['PREFIX', 'UPSTREAM', 'ENDPOINTS'], answer.prefixes.map(({ path, upstream, endpoints }) => [path, upstream, String(endpoints)])))
  }
  if (answer.fallback !== undefined) sections.push(sayFallback(answer.fallback))
  return `${[...sections, summarize(answer)].join('\n')}`
}

const sayFallback = ({ upstream, endpoints }: NonNullable<RoutesAnswer['fallback']>): string =>
  `every other message → ${printable(upstream)} (fallback, ${endpoints} ${endpoints === 1 ? 'endpoint' : 'endpoints'}): names that nobody ever claimed, as far as expose and hide let them out\n`

/** What of a registry is not as it should be, a line each: it is why other lines may be out of date. */
function sayTroubles (row: RegistryRow): string[] {
  const { registry, ok, stale, dropped } = row
  const force = stale === 1 ? '1 registration stays in force' : `${stale} registrations stay in force`
  const lines: string[] = []
  if (!ok) lines.push(`${sayFailing(row)}: ${force} as it said last (stale).`)
  else if (stale > 0) lines.push(`${registry} answers, and does not vouch for all that it listed: ${force} without its word (stale).`)
  if (dropped !== undefined) lines.push(`${registry} lists ${dropped.count} that cannot be read (${dropped.reasons[0] ?? 'no reason'}); the others are not affected.`)
  return lines
}

function formatMessages (routes: readonly RouteRow[], screen: Screen): string {
  const hasEffects = routes.some(({ effect }) => effect !== undefined)
  const rows = routes.map(route => ({
    cells: [printable(route.message), route.state, printable(route.upstream), String(route.endpoints), ...hasEffects ? [toEffect(route)] : []],
    reason: toReason(route)
  }))
  return formatReasoned(['MESSAGE', 'STATE', 'UPSTREAM', 'ENDPOINTS', ...hasEffects ? ['EFFECT'] : []], rows, screen)
}

function formatRegistrations (registrations: readonly RegistrationRow[], screen: Screen): string {
  const rows = registrations.map(row => ({ cells: [printable(row.registration), row.state, printable(row.upstream), printable(row.url)], reason: toReason(row) }))
  return formatReasoned(['REGISTRATION', 'STATE', 'UPSTREAM', 'ENDPOINT'], rows, screen)
}

/** Why, since when (to the second), and what would change it. */
function toReason ({ why, hint, since }: Pick<RouteRow, 'why' | 'hint' | 'since'>): string {
  const when = since === undefined ? '' : ` Since ${since.slice(0, 19)}Z.`
  return printable(hint === undefined ? why + when : `${why}${when} ${hint}`)
}

interface ReasonedRow { readonly cells: readonly string[], readonly reason: string }

function formatReasoned (head: readonly string[], rows: readonly ReasonedRow[], { columns, colours }: Screen): string {
  const widths = widthsOf([head, ...rows.map(row => row.cells)], columns === undefined ? Infinity : widestName)
  const left = widths.reduce((sum, width) => sum + width + 2, 0)
  const inline = columns === undefined || columns - left >= narrowestReason
  const lines = [`${padded(head, widths)}${inline ? '  WHY' : ''}`]
  for (const { cells, reason } of rows) {
    const start = padded(cells, widths, colours ? paint : undefined)
    if (columns === undefined) lines.push(`${start}  ${reason}`)
    else if (inline) {
      const [first = '', ...rest] = wrap(reason, columns - left)
      lines.push(`${start}  ${first}`, ...rest.map(line => ' '.repeat(left) + line))
    } else lines.push(start.trimEnd(), ...wrap(reason, Math.max(20, columns - 4)).map(line => `    ${line}`))
  }
  return `${lines.map(line => line.trimEnd()).join('\n')}\n`
}

/** What nobody can call has none. */
const toEffect = ({ state, effect = '', effectFrom }: RouteRow) => state !== 'routed' ? '' : effectFrom === undefined ? effect : `${effect} (${effectFrom})`

function formatColumns (head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  const clean = rows.map(row => row.map(printable))
  const widths = widthsOf([head, ...clean], Infinity)
  return `${[head, ...clean].map(row => padded(row, widths).trimEnd()).join('\n')}\n`
}

function summarize ({ routes, prefixes, customRoutes, pathConflicts = [] }: RoutesAnswer): string {
  const counts = new Map<string, number>()
  for (const { state } of routes) counts.set(state, (counts.get(state) ?? 0) + 1)
  const states = [...counts].map(([state, count]) => `${count} ${state}`).join(', ')
  const more = [
    ...customRoutes.length === 0 ? [] : [`${customRoutes.length} ${customRoutes.length === 1 ? 'path' : 'paths'}`],
    ...prefixes.length === 0 ? [] : [`${prefixes.length} ${prefixes.length === 1 ? 'prefix' : 'prefixes'}`],
    ...pathConflicts.length === 0 ? [] : [`${pathConflicts.length} ${pathConflicts.length === 1 ? 'path' : 'paths'} in conflict`]
  ]
  const messages = routes.length === 0 ? 'no messages' : `${routes.length} ${routes.length === 1 ? 'message' : 'messages'} (${states})`
  return `${[messages, ...more].join(', ')}\n`
}

function widthsOf (rows: ReadonlyArray<readonly string[]>, widest: number): number[] {
  const widths = rows[0]!.map(() => 0)
  for (const row of rows) for (const [index, cell] of row.entries()) widths[index] = Math.min(widest, Math.max(widths[index]!, cell.length))
  return widths
}

function padded (cells: readonly string[], widths: readonly number[], paintState?: (state: string, text: string) => string): string {
  return cells.map((cell, index) => {
    const width = widths[index]!
    const text = (cell.length > width ? `${cell.slice(0, width - 1)}…` : cell).padEnd(width)
    return index === 1 && paintState !== undefined ? paintState(cell, text) : text
  }).join('  ')
}

/** Green is callable, red wants somebody to act, yellow is meant so or passes by itself. */
function paint (state: string, text: string): string {
  const colour = state === 'routed' ? 32 : state === 'conflict' || state === 'quarantined' ? 31 : 33
  return `\u001b[${colour}m${text}\u001b[39m`
}

/** Breaks at spaces; a word longer than the line is cut. */
function wrap (text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (let word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = ''
    }
    while (word.length > width) {
      lines.push(word.slice(0, width))
      word = word.slice(width)
    }
    line = line === '' ? word : `${line} ${word}`
  }
  return line === '' ? lines : [...lines, line]
}
