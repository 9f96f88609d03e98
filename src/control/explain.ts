// One sentence for each name and registration: why it stands as it does, and what would change it. Pure.
import type { Verdict } from './endpoints.ts'
import type { MoveReason } from './ownership.ts'
import type { EndpointDecision, NameDecision } from './plan.ts'

export interface Explanation {
  readonly why: string
  /** What would change it; undefined where nothing needs to. */
  readonly hint?: string
}

const list = (names: readonly string[]) => names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')

const moveReasons: Readonly<Record<MoveReason, string>> = { gone: 'who has gone', unlisted: 'who no longer has it', silent: 'of whom no endpoint answered any more', settled: 'by an operator\'s word' }

/** Where a name came from, as the end of a sentence. */
function sayMove ({ moved }: NameDecision): string {
  if (moved === undefined) return ''
  const note = moved.note === undefined ? '' : ` (${moved.note.slice(0, 200)})`
  return `; it moved here from ${moved.from}, ${moveReasons[moved.because]}${note}, at ${new Date(moved.at).toISOString()}`
}

/** A key of YAML, quoted where it must be. */
const yamlKey = (name: string) => /^[A-Za-z_][\w.-]*$/.test(name) ? name : JSON.stringify(name)

export function explainName (decision: NameDecision): Explanation {
  const { name, upstream, conflictWith, endpoints, cause } = decision
  const message = yamlKey(name)
  switch (cause) {
    case 'listed':
    case 'trusted':
    case 'yaml': {
      const reason = { listed: `${upstream} lists it`, trusted: `${upstream} publishes no list and its names are believed`, yaml: 'postern.yaml says so' }[cause]
      const from = sayMove(decision)
      if (conflictWith.length > 0) {
        return {
          why: `Routed to ${upstream}${from === '' ? ', who had it first' : ''}; ${list(conflictWith)} claims it too and is quarantined${from}.`,
          hint: decision.by === 'yaml' ? 'postern.yaml has settled it.' : `To settle it write messages.${message}.upstream or run postern settle ${name} UPSTREAM, or take the message out of one of the services.`
        }
      }
      return endpoints > 0
        ? { why: `Routed to ${upstream}: ${reason}${from}.` }
        : { why: `Routed to ${upstream}, but none of its endpoints may get traffic: calls are answered 503.`, hint: '/api/upstreams says what each endpoint waits for.' }
    }
    case 'not-read': return { why: `Not routed yet: the list of operations of ${upstream} is not read; calls are answered 503 RoutesNotReady.`, hint: 'It is asked again by itself, until it answers.' }
    case 'no-list': return { why: `Hidden: ${upstream} publishes no list of operations, so restricted messages cannot be told from others.`, hint: `If all it registers may be called from outside, write upstreams.${yamlKey(upstream)}.trustTags: true` }
    case 'not-listed': return { why: `No message: ${upstream} has it as a tag, but no endpoint lists it.`, hint: 'A custom tag, or the endpoint is not what its registration says.' }
    case 'restricted': return { why: `Hidden: ${upstream} restricts it to internal callers.`, hint: `To let it out all the same, write messages.${message}.expose: true` }
    case 'never': return { why: 'Hidden: internal messages of the host and of the discovery plugin are never routed.' }
    case 'message-setting': return { why: `Hidden: messages.${message}.expose is false.`, hint: 'Take that line out of postern.yaml.' }
    case 'hide': return { why: 'Hidden: it matches a pattern of exposure hide.', hint: `Change exposure.hide or upstreams.${yamlKey(upstream)}.hide, or write messages.${message}.expose: true` }
    case 'not-in-expose': return { why: 'Hidden: it matches no pattern of exposure expose.', hint: `Add it to exposure.expose or upstreams.${yamlKey(upstream)}.expose` }
    case 'owned': return {
      why: `Quarantined: ${list(conflictWith.length > 0 ? conflictWith : ['another service'])} owns the name and keeps its traffic.`,
      hint: decision.by === 'yaml'
        ? 'postern.yaml has settled it.'
        : `It passes to ${upstream} when its owner has gone or no longer lists it; or write messages.${message}.upstream: ${yamlKey(upstream)}, or run postern settle ${name} ${upstream}`
    }
    case 'split': return { why: `Routed in part: postern.yaml splits the calls of the name's owner, and ${upstream} gets some of them.`, hint: '/api/splits shows the parts side by side.' }
    case 'several': return { why: `Conflict: its owner has gone and ${list([upstream, ...conflictWith])} all claim it; nobody gets it.`, hint: `Write messages.${message}.upstream or run postern settle ${name} UPSTREAM` }
  }
}

const sayUnwell = ({ knowledge }: Verdict) => knowledge?.silent === undefined
  ? `it says that it is not well (${knowledge?.sick ?? 'its heartbeat fails'})`
  : `it does not answer us (${knowledge.silent.reason})`

/** Of what its registry has not checked, and its own words say against it. */
function explainUnwell (verdict: Verdict, state: EndpointDecision['state'], byPanic: boolean): [why: string, hint?: string] {
  if (verdict.cause === 'warns') {
    const warning = verdict.knowledge?.warns ?? 'its health check warns'
    return state === 'standby'
      ? [`Standby: its registry has not checked it yet, and it warns (${warning}), and others are well.`, 'It gets traffic when no other endpoint is left.']
      : [`Routed although it warns (${warning}): no passing endpoint is left.`]
  }
  return byPanic
    ? [`Routed although ${sayUnwell(verdict)}: no endpoint of its upstream is well.`, 'registry.panic: false would refuse instead.']
    : [`Waiting: its registry has not checked it yet, and ${sayUnwell(verdict)}.`, 'It gets traffic as soon as it answers well or its checks pass.']
}

/** What speaks against one that answers us. */
const sayUnconfirmed = (verdict: Verdict) => verdict.knowledge?.sick === undefined ? 'its checks failed before that, although it answers us' : sayUnwell(verdict)

export function explainEndpoint ({ verdict, byPanic, state }: EndpointDecision): Explanation {
  const { registration, otherId } = verdict
  const notes = registration.notes === undefined || registration.notes === '' ? '' : `: ${registration.notes.slice(0, 300)}`
  const stale = verdict.entry.stale ? ' From disk: its registry has not answered since the start.' : ''
  const told = (why: string, hint?: string): Explanation => ({ why: why + stale, ...(hint === undefined ? {} : { hint }) })
  switch (verdict.cause) {
    case 'refused': return told(`Refused: ${registration.refused ?? 'its address cannot be used'}.`, 'Correct the registration, or registry.allowedNetworks.')
    case 'fixed': return told('Routed: a fixed endpoint of postern.yaml.')
    case 'passing': return state === 'standby' ? told('Passing, but no message or path needs it.') : told('Routed: its checks pass.')
    case 'warning': return state === 'standby' ? told(`Standby: its checks warn${notes}, and others pass.`, 'It gets traffic when no passing endpoint is left.') : told(`Routed although its checks warn${notes}: no passing endpoint is left.`)
    case 'critical': return byPanic
      ? told(`Routed although its checks fail${notes}: every endpoint of its upstream fails them.`, 'registry.panic: false would refuse instead.')
      : told(`No traffic: its checks fail${notes}.`, 'It comes back when they pass.')
    case 'maintenance': return told(`Draining: an operator set it to maintenance${notes}.`, 'It comes back when maintenance is taken off.')
    case 'answered': return told('Routed: its registry has not checked it yet, and it answered our own question.')
    case 'had-traffic': return told('Routed: it had traffic, and is being asked again.')
    case 'not-asked': return told('Waiting: its registry has not checked it yet, and it is being asked.', 'It gets traffic as soon as it answers.')
    case 'warns':
    case 'no-answer':
    case 'sick': return told(...explainUnwell(verdict, state, byPanic))
    case 'other-id': return told(`Ghost: the process at this address says that it runs as ${otherId}.`, 'It goes when its registry removes it; deregistering it by hand is safe.')
    case 'unknown-id': return told(`Ghost: the process at this address says that it runs as ${otherId ?? 'somebody else'}, which no registry lists.`, 'The process has to register, or this registration has to go.')
    case 'newer': return told(`Ghost: ${otherId} is registered at the same address and newer, and the process there does not say who it is.`, 'It goes when its registry removes it.')
    case 'old-process': return told(`Waiting: the process at this address last said that it runs as ${otherId}; it is being asked again.`, 'It gets traffic as soon as the process there answers under this id.')
    case 'lists-nothing': return told('Stranger: the process at this address lists none of the messages it was registered with.', 'Another program answers at this address; deregister the old one.')
    case 'unconfirmed': return told('Unconfirmed: its registry has forgotten it together with others, but it answers us; served for registry.unconfirmedMs at most.', 'It has to register again.')
    case 'unconfirmed-unwell': return byPanic
      ? told(`Unconfirmed: its registry has forgotten it together with others, and ${sayUnconfirmed(verdict)}; served because no endpoint of its upstream is well.`, 'It has to register again; registry.panic: false would refuse instead.')
      : told(`Unconfirmed: its registry has forgotten it together with others, and ${sayUnconfirmed(verdict)}; it gets traffic only when no other endpoint is well.`, 'It has to register again.')
    case 'unconfirmed-silent': return told('Unconfirmed: its registry has forgotten it together with others, and it does not answer us.', 'It has to register again.')
  }
}
