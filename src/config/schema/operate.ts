// What protects or tries the gateway as a whole: shedding under overload, faults for game days.
import { Type } from 'typebox'
import { count, flag, ms, section } from './kit.ts'

export const Shedding = section({
  eventLoopDelayMs: count('How late timers are, smoothed over a second, when sheddable messages are refused with 503. Normal ones are refused from twice that on, critical ones from three times. 0: never. Milliseconds.', 250),
  heapPercent: Type.Integer({ minimum: 0, maximum: 99, default: 90, description: 'How full the heap is when sheddable messages are refused; normal ones a third, critical ones two thirds of the way from there to full. 0: never.' })
}, 'Refuses work while the gateway itself is overloaded, by the priority of messages.')

export const FaultsAllowed = section({
  allow: flag('Whether faults may be injected at all, by policy.fault or while running (postern fault).', false)
}, 'Fault injection, for game days.')

export const Fault = section({
  delayMs: ms('Waits this long before the attempt is sent.', 0, 0),
  abortStatus: Type.Integer({ minimum: 0, maximum: 599, default: 0, description: 'Answers with this status (400 to 599) in place of the endpoint. 0: does not.' }),
  reset: flag('Fails as if the endpoint had closed the connection without an answer.', false),
  percent: Type.Number({ minimum: 0, maximum: 100, default: 100, description: 'Share of the attempts.' }),
  header: Type.String({ maxLength: 200, default: '', description: 'Only callers with this header: a name, or a name and its value (X-Game-Day: 1). Empty: everybody.' }),
  until: Type.String({ maxLength: 40, default: '', description: 'When it ends, as a date and time (2026-12-01T18:00:00Z). Needed: a game day that nobody ends must end by itself.' })
}, 'A fault injected into attempts of this message. Needs faults.allow.')
