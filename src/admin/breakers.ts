// Breakers by hand: what is held or open, holding one open or closed, giving it back.
import { ActionRefused, type ActionInput, type AdminAction } from './actions.ts'

/** Of an upstream; of one of its messages; or of one of its endpoints. */
export interface BreakerTarget {
  readonly upstream: string
  readonly message?: string | undefined
  readonly endpoint?: string | undefined
}

export interface BreakerHold extends BreakerTarget {
  readonly held: 'open' | 'closed'
  readonly reason: string
  readonly by: string
  /** ms since epoch. */
  readonly since: number
  /** ms since epoch; undefined = until it is released. */
  readonly until: number | undefined
}

/** What the actions ask of the gateway. */
export interface BreakerBoard {
  readonly holds: readonly BreakerHold[]
  /** Breakers that are not simply closed, or remember failures. */
  states (): readonly object[]
  /** The target as the gateway spells it; undefined when there is no such upstream, message or endpoint. */
  find (target: BreakerTarget): BreakerTarget | undefined
  hasRoomFor (target: BreakerTarget): boolean
  /** Whether holds are kept on disk. */
  readonly outlivesRestart: boolean
  /** At once; the promise says whether a restart will find it. */
  hold (hold: BreakerHold): Promise<boolean>
  /** Gives it back to itself, closed: an endpoint that is ejected comes back too. Whether it was held. */
  release (target: BreakerTarget): boolean
}

const longestText = 500
const longestMs = 365 * 86_400_000

export function breakerActions (board: BreakerBoard): AdminAction[] {
  return [
    {
      method: 'GET',
      path: '/api/breakers',
      says: 'Breakers that are open, half-open, remember failures or are held by hand, with reason, person and expiry; ejected endpoints.',
      run: () => ({ holds: board.holds.map(describeHold), outlivesRestart: board.outlivesRestart, breakers: board.states() })
    },
    {
      method: 'POST',
      path: '/api/breakers/hold',
      says: 'Holds the breaker of an upstream, message or endpoint: {"upstream", "message" or "endpoint", "held": "open" or "closed", "reason", "by", "forMs"}. outlivesRestart: whether it has been written to the dataDirectory.',
      run: input => hold(board, input)
    },
    {
      method: 'POST',
      path: '/api/breakers/release',
      says: 'Gives a breaker back to itself, closed, and takes an ejected endpoint back: {"upstream", "message" or "endpoint"}.',
      run: input => {
        const target = toTarget(board, input)
        return { released: target, wasHeld: board.release(target) }
      }
    }
  ]
}

async function hold (board: BreakerBoard, input: ActionInput): Promise<object> {
  const target = toTarget(board, input)
  const { held, reason, by, forMs } = fields(input)
  if (held !== 'open' && held !== 'closed') throw new ActionRefused(400, 'BadHold', 'held is "open" (no calls at all) or "closed" (it never opens).')
  if (!isText(reason) || !isText(by)) throw new ActionRefused(400, 'BadHold', `reason and by are needed, at most ${longestText} characters each: whoever is on duty next must know.`)
  if (forMs !== undefined && !(typeof forMs === 'number' && forMs > 0 && forMs <= longestMs)) throw new ActionRefused(400, 'BadHold', 'forMs is a number of milliseconds, at most a year.')
  if (!board.hasRoomFor(target)) throw new ActionRefused(409, 'TooManyHolds', 'Too many breakers are held: release some.')
  const since = Date.now()
  const made: BreakerHold = { ...target, held, reason, by, since, until: forMs === undefined ? undefined : since + forMs }
  const outlivesRestart = await board.hold(made)
  return { ...describeHold(made), outlivesRestart }
}

function describeHold ({ since, until, ...hold }: BreakerHold): object {
  return { ...hold, since: new Date(since).toISOString(), until: until === undefined ? null : new Date(until).toISOString() }
}

function toTarget (board: BreakerBoard, input: ActionInput): BreakerTarget {
  const { upstream, message, endpoint } = fields(input)
  if (!isText(upstream) || (message !== undefined && !isText(message)) || (endpoint !== undefined && !isText(endpoint)) || (message !== undefined && endpoint !== undefined)) {
    throw new ActionRefused(400, 'BadTarget', 'upstream is needed, and may come with message or endpoint.')
  }
  const found = board.find({ upstream, message, endpoint })
  if (found === undefined) throw new ActionRefused(404, 'NotFound', `There is no ${endpoint !== undefined ? `endpoint ${endpoint} of` : message !== undefined ? `message ${message} of` : 'upstream'} ${upstream}. /api/upstreams and \`postern routes\` name them.`)
  return found
}

const isText = (value: unknown): value is string => typeof value === 'string' && value.trim() !== '' && value.length <= longestText
const fields = ({ body }: ActionInput): Record<string, unknown> => typeof body === 'object' && body !== null ? body as Record<string, unknown> : {}
