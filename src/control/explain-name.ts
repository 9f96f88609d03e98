// One sentence for each name: why it stands as it does at a service, and what would change it. Pure.
import { list, listWith, shellWord, yamlKey, type Explanation } from './explain.ts'
import type { MoveReason } from './ownership.ts'
import type { NameDecision, PathConflict } from './plan.ts'

const moveReasons: Readonly<Record<MoveReason, string>> = { gone: 'who has gone', unlisted: 'who no longer has it', silent: 'of whom no endpoint answered any more', replaced: 'which it replaces under another name', drained: 'of which all was drained', stopped: 'of which nothing took connections any more', returned: 'who had it while this one was drained or restarted', settled: 'by an operator\'s word' }

const sayNote = (note: string | undefined) => note === undefined ? '' : ` (${note.slice(0, 200)})`
const sayTime = (ms: number) => new Date(ms).toISOString()

/** Where a name came from, as the end of a sentence. */
const sayMove = ({ moved }: NameDecision): string =>
  moved === undefined ? '' : `; it moved here from ${moved.from}, ${moveReasons[moved.because]}${sayNote(moved.note)}, at ${sayTime(moved.at)}`

/** Two messages want one path; whose service had its message first keeps it. */
export const explainPath = ({ path, upstream, message, conflictWith }: PathConflict): Explanation => ({
  why: `Conflict: ${message} of ${upstream} wants ${path} too, where ${conflictWith} is; by this path it cannot be called.`,
  hint: 'By its name it can. Give one of the two another path, or other verbs.'
})

// ---- What would change it ----

const settledByYaml = (message: string) => `It stays so until messages.${message}.upstream is changed in postern.yaml.`

/** By an operator's word, in either way. The command stands last: it is copied from there. */
const sayHow = ({ name, upstream }: NameDecision): string => `write messages.${yamlKey(name)}.upstream: ${yamlKey(upstream)}, or run postern settle ${shellWord(name)} ${shellWord(upstream)}`

/** What takes a routed name away, by what it is routed for. */
function sayLeaving ({ upstream, cause }: NameDecision, message: string): string {
  switch (cause) {
    case 'trusted': return `It goes when no registration of ${upstream} names it any more, or by messages.${message}.expose: false`
    case 'yaml': return `It stays so until messages.${message} is changed in postern.yaml.`
    default: return `It goes when no endpoint of ${upstream} lists it any more, or by messages.${message}.expose: false`
  }
}

/** Of what was lent: how it goes back, and what keeps it where it is. */
function sayReturn ({ name, lent }: NameDecision): string {
  const { from, to, until, isLost } = lent!
  return until === undefined
    ? `It goes back to ${from} ${isLost ? 'if that one registers again and is not in maintenance then; else it stays' : 'when maintenance is taken off there, and stays when what is in maintenance is deregistered'}. If ${to} is to have it now, run postern settle ${shellWord(name)} ${shellWord(to)}`
    : `It goes back to ${from} if what that one had is called again, or a new process in its place, until ${sayTime(until)} (registry.ownerGoneMs); else it stays. If ${to} is to have it now, run postern settle ${shellWord(name)} ${shellWord(to)}`
}

/** How a name of somebody else may come to a service that claims it. */
function sayWait (decision: NameDecision): string {
  const { upstream, owner, conflictWith, standing, lent, isLost } = decision
  const message = yamlKey(decision.name)
  const has = owner?.name ?? 'its owner'
  if (lent?.from === upstream) {
    return lent.until === undefined
      ? `It comes back by itself ${lent.isLost ? 'if it registers again and is not in maintenance then' : 'when maintenance is taken off'}. To have it now, ${sayHow(decision)}`
      : `It comes back by itself if ${upstream} can be called again until ${sayTime(lent.until)} (registry.ownerGoneMs). To have it later, ${sayHow(decision)}`
  }
  if (standing === 'unlisted') return `It does not pass to ${upstream} by itself, which publishes no list of operations. If it is to have it, write upstreams.${yamlKey(upstream)}.trustTags: true and messages.${message}.upstream: ${yamlKey(upstream)}`
  if (standing === 'strange') return `It does not pass to ${upstream} as long as only strangers answer at its addresses.`
  const rivals = conflictWith.filter(other => other !== has)
  if (rivals.length > 0) return `When ${has} goes, ${(isLost || standing === 'unread') && rivals.length === 1 ? `${rivals[0]} gets it` : `nobody gets it, because ${listWith(rivals, 'claims', 'claim')} it too`}. If it is to be ${upstream}'s, ${sayHow(decision)}`
  const isRead = standing === 'unread' ? `, once the list of operations of ${upstream} is read and has it` : ''
  return `It passes to ${upstream} when ${has} is deregistered, no longer has it, is replaced by it under another name, or nobody can be reached there for registry.ownerGoneMs${isRead}; or ${sayHow(decision)}`
}

// ---- Routed ----

/** What of postern.yaml lets out what its service restricts. */
function sayLetOut ({ letOut }: NameDecision, message: string): string {
  if (letOut === undefined) return ''
  return `, restricted to internal callers, and ${letOut === 'pattern' ? 'exposeRestricted' : `messages.${message}.expose: true`} lets it out`
}

/** Why a service has a name that others claim too, as the middle of a sentence. What moved says so at its end. */
function sayTitle ({ moved, settled }: NameDecision): string {
  if (settled?.by === 'yaml') return ', to whom postern.yaml gives it'
  if (settled !== undefined && moved?.because !== 'settled') return `, to whom an operator gave it${sayNote(settled.note)}`
  return moved === undefined ? ', who had it first' : ''
}

/** Routed to nobody who can be called. */
function explainVain (decision: NameDecision, message: string): Explanation {
  const { upstream, conflictWith, isStrange, owner } = decision
  if (owner?.isRegistered === false) {
    const others = conflictWith.length === 0 ? '' : ` ${listWith(conflictWith, 'has', 'have')} it.`
    return { why: `Routed to ${upstream}, because postern.yaml says so, but nothing called ${upstream} is known: calls are answered 503.`, hint: `Correct messages.${message}.upstream in postern.yaml, or register ${upstream}.${others}` }
  }
  const from = sayMove(decision)
  return isStrange
    ? { why: `Routed to ${upstream}, but only strangers answer at its addresses: calls are answered 503${from}.`, hint: `It gets calls when a host of ${upstream} answers there, or is registered elsewhere.` }
    : { why: `Routed to ${upstream}, but none of its endpoints can take calls: they are answered 503${from}.`, hint: 'Its registrations say what each of them waits for.' }
}

function explainRouted (decision: NameDecision, message: string): Explanation {
  const { name, upstream, conflictWith, cause, settled, lent } = decision
  // Nobody to call is what matters most to whoever asks.
  if (decision.endpoints === 0) return explainVain(decision, message)
  const reason = cause === 'listed' ? `${upstream} lists it${sayLetOut(decision, message)}` : cause === 'trusted' ? `${upstream} publishes no list and its names are believed` : `postern.yaml says so${sayLetOut(decision, message)}`
  const from = sayMove(decision)
  const others = conflictWith.filter(other => other !== lent?.from)
  const claimed = others.length === 0 ? '' : `; ${listWith(others, 'claims it too and is quarantined', 'claim it too and are quarantined')}`
  if (lent !== undefined) return { why: `Routed to ${upstream}: ${reason}${claimed}${from}.`, hint: sayReturn(decision) }
  if (others.length === 0) return { why: `Routed to ${upstream}: ${reason}${from}.`, hint: settled?.by === 'yaml' ? settledByYaml(message) : sayLeaving(decision, message) }
  return {
    why: `Routed to ${upstream}${sayTitle(decision)}${claimed}${from}.`,
    hint: settled?.by === 'yaml' ? settledByYaml(message) : `${settled === undefined ? 'To settle it' : 'It is settled; to settle it otherwise'} write messages.${message}.upstream or run postern settle ${shellWord(name)} UPSTREAM, or take the message out of ${others.length === 1 ? 'one' : 'all but one'} of the services.`
  }
}

// ---- Claimed, and not routed ----

function explainOwned (decision: NameDecision, message: string): Explanation {
  const { owner, settled } = decision
  const has = owner?.name ?? 'another service'
  if (settled?.by === 'yaml') {
    return owner?.isRegistered === false
      ? { why: `Quarantined: postern.yaml gives the name to ${has}, and nothing called ${has} is known.`, hint: `Correct messages.${message}.upstream in postern.yaml, or register ${has}.` }
      : { why: `Quarantined: postern.yaml gives the name to ${has}.`, hint: settledByYaml(message) }
  }
  if (owner?.isRegistered === false) return { why: `Quarantined: ${has} owns the name, and whether it is still there is known when every registry has answered.`, hint: sayWait(decision) }
  return { why: `Quarantined: ${has} owns the name${settled === undefined ? '' : `, to whom an operator gave it${sayNote(settled.note)},`} and keeps its traffic.`, hint: sayWait(decision) }
}

function explainUnspoken ({ only }: NameDecision): Explanation {
  const { id = 'a registration', state = 'refused', others = 0 } = only ?? {}
  const says = `${state === 'ghost' ? 'a ghost' : state} and says nothing about messages`
  return others === 0
    ? { why: `Absent: only ${id} has it, which is ${says}.`, hint: 'The row of that registration says what is wrong with it.' }
    : { why: `Absent: only registrations have it that say nothing about messages, ${id} (${state}) and ${others} more.`, hint: 'Their rows say what is wrong with them.' }
}

function explainUnread ({ upstream, isDrained, unread }: NameDecision): Explanation {
  const reason = unread === undefined ? '' : ` (${unread})`
  return isDrained
    ? { why: `Unread: the list of operations of ${upstream} is not read yet, and all of it that may have the name is in maintenance; calls are answered 503 RoutesNotReady.`, hint: 'It is read when maintenance is taken off.' }
    : { why: `Unread: the list of operations of ${upstream} is not read yet${reason}; calls are answered 503 RoutesNotReady.`, hint: 'It is asked for again and again, until an endpoint tells it.' }
}

export function explainName (decision: NameDecision): Explanation {
  const { name, upstream, conflictWith, cause, owner } = decision
  const message = yamlKey(name)
  switch (cause) {
    case 'listed':
    case 'trusted':
    case 'yaml': return explainRouted(decision, message)
    case 'lacks': return { why: `Routed to ${upstream}, because postern.yaml says so, but no endpoint of it lists it: calls are answered 503.`, hint: `Correct messages.${message}.upstream in postern.yaml, or deploy ${upstream} with it.${conflictWith.length === 0 ? '' : ` ${listWith(conflictWith, 'has', 'have')} it.`}` }
    case 'not-read': return explainUnread(decision)
    case 'waits': return { why: `Unread: ${list(conflictWith)} was registered before ${upstream} and may have it, and its list of operations is not read yet; calls are answered 503 RoutesNotReady.`, hint: `Whose it is is decided when that list is read, or after registry.ownerGoneMs; messages.${message}.upstream decides at once.` }
    case 'no-list': return { why: `Hidden: ${upstream} publishes no list of operations, so restricted messages cannot be told from others.`, hint: `If all it registers may be called from outside, write upstreams.${yamlKey(upstream)}.trustTags: true` }
    case 'stranger': return { why: `Hidden: only strangers answer at the addresses of ${upstream}, and its own list of operations is not known.`, hint: `It is read when a host of ${upstream} answers there, or is registered elsewhere.` }
    case 'not-listed': return { why: `Absent: registrations of ${upstream} name it, but no endpoint lists it, so it is no message.`, hint: `It becomes one when an endpoint of ${upstream} lists it; a custom tag never does.` }
    case 'unspoken': return explainUnspoken(decision)
    case 'restricted': return { why: `Hidden: ${upstream} restricts it to internal callers.`, hint: `To let it out all the same, write messages.${message}.expose: true` }
    case 'never': return { why: 'Hidden: internal messages of the host and of the discovery plugin are never routed.', hint: 'Nothing changes that, postern.yaml included.' }
    case 'message-setting': return { why: `Hidden: messages.${message}.expose is false.`, hint: 'Take that line out of postern.yaml.' }
    case 'hide': return { why: `Hidden: it matches a pattern of exposure.hide, or of upstreams.${yamlKey(upstream)}.hide where that is written.`, hint: `Change that pattern, or write messages.${message}.expose: true` }
    case 'not-in-expose': return { why: `Hidden: it matches no pattern of exposure.expose, or of upstreams.${yamlKey(upstream)}.expose where that is written.`, hint: `Add it there, or write messages.${message}.expose: true` }
    case 'owned': return explainOwned(decision, message)
    case 'split': return { why: `Routed in part: postern.yaml splits the calls of the name's owner, and ${upstream} gets some of them.`, hint: 'Change policy.split to end it; /api/splits shows the parts side by side.' }
    case 'several': return {
      why: `Conflict: ${owner?.name ?? 'its owner'}, who had it, has gone or has it no more, and ${list([upstream, ...conflictWith].sort())} ${conflictWith.length === 1 ? 'both' : 'all'} claim it; nobody gets it.`,
      hint: `Take it out of all but one of them, write messages.${message}.upstream, or run postern settle ${shellWord(name)} UPSTREAM`
    }
  }
}
