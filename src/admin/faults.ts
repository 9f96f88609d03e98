// /api/faults: what is injected, set and cleared while the gateway runs. For game days.
import { toFaultRule, describeFault, type FaultRule, type FaultSettings } from '../filters/fault-rule.ts'
import type { Faults } from '../filters/faults.ts'
import { ActionRefused, type AdminAction } from './actions.ts'

export interface FaultsControl {
  readonly faults: Faults
  /** faults.allow of the configuration in force. */
  allowed (): boolean
  /** Whether there is a route of this name. */
  isKnown (message: string): boolean
  /** For the log: who did what. */
  told (what: string, fields: object): void
}

/** Least and most of what is asked for. */
export const faultLimits = { delayMs: [1, 600_000], abortStatus: [400, 599], percent: [0, 100], forS: [1, 86_400] } as const
const longestText = 200
const usage = '{"message": "PlaceOrder", "delayMs": 500, "percent": 10, "header": "X-Game-Day: 1", "forS": 600, "by": "anna", "reason": "game day"}; abortStatus or reset in place of or beside delayMs, until in place of forS'

export function faultActions (control: FaultsControl): AdminAction[] {
  return [
    { method: 'GET', path: '/api/faults', says: 'Faults that are injected now, and how many were.', run: () => describe(control) },
    {
      method: 'POST',
      path: '/api/faults',
      says: 'Injects a fault into a message: {"message", "delayMs", "abortStatus", "reset", "percent", "header", "forS" or "until", "by", "reason"}. Needs faults.allow.',
      run ({ body }) {
        if (!control.allowed()) throw new ActionRefused(409, 'FaultsNotAllowed', 'postern.yaml does not allow faults: set faults.allow: true.')
        const fault = toFault(body, Date.now())
        if (!control.isKnown(fault.message)) throw new ActionRefused(404, 'MessageNotFound', `There is no message or prefix ${fault.message}.`)
        if (!control.faults.set(fault, Date.now())) throw new ActionRefused(409, 'TooManyFaults', 'There are too many faults: clear some.')
        const shown = show(fault)
        control.told('fault set', shown)
        return shown
      }
    },
    {
      method: 'POST',
      path: '/api/faults/clear',
      says: 'Ends the fault of a message, {"message"}, or all that were set while running, {}.',
      run ({ body }) {
        const { message } = isObject(body) ? body : {}
        if (message !== undefined && typeof message !== 'string') throw new ActionRefused(400, 'FaultIncomplete', 'message is text.')
        const cleared = message === undefined ? control.faults.clearAll() : Number(control.faults.clear(message))
        if (cleared > 0) control.told('fault cleared', { message: message ?? 'all', cleared })
        return { cleared }
      }
    }
  ]
}

function describe ({ faults, allowed }: FaultsControl): object {
  return { allowed: allowed(), faults: faults.list(Date.now()).map(show), injected: Object.fromEntries(faults.injected) }
}

function show ({ message, rule, by, reason }: ReturnType<typeof toFault>): object {
  const { percent, header, untilMs } = rule
  return { message, fault: describeFault(rule), percent, ...header === undefined ? {} : { header: header.value === undefined ? header.name : `${header.name}: ${header.value}` }, until: new Date(untilMs).toISOString(), by, reason }
}

/** @throws ActionRefused */
function toFault (body: unknown, nowMs: number): { message: string, rule: FaultRule, by: string, reason: string } {
  const given = isObject(body) ? body : {}
  const number = (name: keyof typeof faultLimits, byDefault: number): number => {
    const [least, most] = faultLimits[name]
    const value = given[name] ?? byDefault
    if (typeof value !== 'number' || !Number.isFinite(value) || ((value < least || value > most) && value !== byDefault)) throw wrong(`${name} is a number from ${least} to ${most}.`)
    return value
  }
  const text = (name: string): string => {
    const value = given[name] ?? ''
    if (typeof value !== 'string' || value.length > longestText) throw wrong(`${name} is text of at most ${longestText} characters.`)
    return value
  }
  const message = text('message')
  if (message === '') throw wrong('It needs a message.')
  const forS = number('forS', 0)
  const untilMs = forS > 0 ? nowMs + forS * 1_000 : Date.parse(text('until'))
  if (!(untilMs > nowMs && untilMs <= nowMs + faultLimits.forS[1] * 1_000)) throw wrong('It needs an end within a day: forS, seconds from now, or until, a date and time.')
  if (given['reset'] !== undefined && typeof given['reset'] !== 'boolean') throw wrong('reset is true or false.')
  const settings: FaultSettings = {
    delayMs: number('delayMs', 0),
    abortStatus: number('abortStatus', 0),
    reset: given['reset'] === true,
    percent: number('percent', 100),
    header: text('header'),
    until: new Date(untilMs).toISOString()
  }
  const rule = toFaultRule(settings)
  if (rule === undefined) throw wrong('It needs delayMs, abortStatus or reset, and a percent above 0.')
  return { message, rule, by: text('by'), reason: text('reason') }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const wrong = (what: string): ActionRefused => new ActionRefused(400, 'FaultIncomplete', `${what} As in ${usage}.`)
