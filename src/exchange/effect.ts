// What repeating a message does: the one property that retry, hedging, mirroring, caching and collapsing ask. Pure.

/**
 * Words of RFC 9110 section 9.2. `safe`: asks only, so it may be sent twice, ahead of time, or to somebody else. `idempotent`: twice is
 * as good as once, so it may be repeated. `unsafe`: every time counts.
 */
export type Effect = 'safe' | 'idempotent' | 'unsafe'

const strictness: Record<Effect, number> = { safe: 0, idempotent: 1, unsafe: 2 }

/** Of two words on one message, the stricter; undefined is no word. */
export function stricter (one: Effect | undefined, other: Effect | undefined): Effect | undefined {
  if (one === undefined || other === undefined) return one ?? other
  return strictness[one] >= strictness[other] ? one : other
}

/** Of words on messages of which a call may be any: with several, one that nobody has said anything of may be unsafe. Undefined: the method decides. */
export function strictest (words: ReadonlyArray<Effect | undefined>): Effect | undefined {
  if (words.every(word => word === undefined)) return undefined
  return words.length === 1 ? words[0] : words.reduce((one, other) => stricter(one ?? 'unsafe', other ?? 'unsafe'))
}

/**
 * The effect of one call. `declared` is the message's own, from postern.yaml or its marker; without it the effective method decides
 * (ServiceStack obeys an override that passes for any verb). PUT and DELETE alone say nothing: these hosts' messages are not idempotent
 * by method. `single`: neither one-way nor a batch. Those are unsafe whatever anybody says: nobody sees what became of them, or only of
 * their first half.
 */
export function effectOfCall (declared: Effect | undefined, method: string, override: string | undefined, single: boolean): Effect {
  if (!single) return 'unsafe'
  if (declared !== undefined) return declared
  const effective = override === undefined || override === '' ? method : override.toUpperCase()
  return effective === 'GET' || effective === 'HEAD' ? 'safe' : 'unsafe'
}
