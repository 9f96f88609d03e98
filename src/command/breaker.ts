// postern breaker: shows the breakers of the running gateway, holds one open or closed by hand, gives it back.
import { userInfo } from 'node:os'
import { adminBase, jsonOfGateway } from './ask-admin.ts'
import { didYouMean, type Arguments } from './arguments.ts'
import { durationMs } from './duration.ts'
import type { Help } from './help.ts'
import { exitCodes, printable, UsageError, type Terminal } from './terminal.ts'

const actions = ['list', 'open', 'close', 'release'] as const
type Action = typeof actions[number]

export const breakerHelp: Help = {
  summary: 'Shows breakers, and holds one open or closed by hand.',
  usage: 'postern breaker list [--json]\n       postern breaker open|close UPSTREAM[/MESSAGE] --reason TEXT [--endpoint URL] [--by NAME] [--for TIME]\n       postern breaker release UPSTREAM[/MESSAGE] [--endpoint URL]',
  text: `open: no calls at all, not even trials. close: it never opens. Both hold until they are released or --for is over, also over a restart
where dataDirectory can be written (with none the answer says that they do not). release: it opens and closes by itself again, closed at first; an ejected endpoint gets calls again.`,
  flags: {
    admin: { short: 'a', value: 'HOST:PORT', help: 'Admin address of the running gateway. Default: 127.0.0.1:9901.' },
    endpoint: { value: 'URL', help: 'The breaker of this endpoint of the upstream.' },
    reason: { value: 'TEXT', help: 'Why, for whoever is on duty next.' },
    by: { value: 'NAME', help: 'Who. Default: the user of this machine.' },
    for: { value: 'TIME', help: 'How long: 90s, 10m, 2h, 1d. Left out: until it is released.' },
    json: { help: 'With list: as JSON.' }
  },
  examples: [
    ['postern breaker list', 'what is open, held or ejected'],
    ['postern breaker open Orders/ExportOrders --reason "table locked" --for 30m', 'spare the database'],
    ['postern breaker release Orders --endpoint http://10.0.3.7:8080', 'an ejected endpoint gets calls again']
  ]
}

export async function breaker (args: Arguments, terminal: Terminal): Promise<number> {
  const action = toAction(args.positionals[0])
  const base = adminBase(args)
  if (action === 'list') {
    const answer = await jsonOfGateway<ListAnswer>(base, '/api/breakers')
    terminal.out(args.has('json') ? `${JSON.stringify(answer, undefined, 2)}\n` : formatList(answer))
    return exitCodes.ok
  }
  const target = toTarget(args)
  const name = `${target.upstream}${target.message === undefined ? '' : `/${target.message}`}${target.endpoint === undefined ? '' : ` at ${target.endpoint}`}`
  if (action === 'release') {
    const { wasHeld } = await jsonOfGateway<{ wasHeld?: boolean }>(base, '/api/breakers/release', { method: 'POST', body: target })
    terminal.out(`${printable(name)} ${wasHeld === true ? 'is not held any more' : 'was not held; it is closed'}.\n`)
    return exitCodes.ok
  }
  const reason = args.one('reason')
  if (reason === undefined) throw new UsageError('--reason is needed: whoever is on duty next must know why.')
  const forMs = args.has('for') ? durationMs('--for', args.one('for')!) : undefined
  const order = { ...target, held: action === 'open' ? 'open' : 'closed', reason, by: args.one('by') ?? userInfo().username, forMs }
  const { until, outlivesRestart } = await jsonOfGateway<{ until: string | null, outlivesRestart?: boolean }>(base, '/api/breakers/hold', { method: 'POST', body: order })
  terminal.out(`${printable(name)} is held ${action === 'open' ? 'open: no calls' : 'closed'}${typeof until === 'string' ? ` until ${until}` : ' until it is released'}.\n`)
  if (outlivesRestart === false) terminal.out('A restart of the gateway ends this: it has no dataDirectory, or could not write there; its log says so.\n')
  return exitCodes.ok
}

function toAction (word: string | undefined): Action {
  if (word === undefined) throw new UsageError(`what is to be done? ${actions.join(', ')}.`)
  const action = actions.find(one => one === word)
  if (action === undefined) throw new UsageError(`there is no "${word}".${didYouMean(word, actions)} Actions: ${actions.join(', ')}.`)
  return action
}

/** A prefix route holds slashes itself: the first one ends the upstream's name. */
function toTarget (args: Arguments): { upstream: string, message?: string, endpoint?: string } {
  const text = args.positionals[1]
  const endpoint = args.one('endpoint')
  if (text === undefined) throw new UsageError('which breaker? UPSTREAM, UPSTREAM/MESSAGE, or UPSTREAM --endpoint URL.')
  const slash = text.indexOf('/')
  if (slash !== -1 && endpoint !== undefined) throw new UsageError('a message or an endpoint, not both.')
  if (slash === -1) return endpoint === undefined ? { upstream: text } : { upstream: text, endpoint }
  return { upstream: text.slice(0, slash), message: text.slice(slash + 1) }
}

interface ListAnswer {
  readonly holds: ReadonlyArray<{ readonly upstream: string, readonly message?: string, readonly endpoint?: string, readonly held: string, readonly reason: string, readonly by: string, readonly until: string | null }>
  readonly breakers: ReadonlyArray<{ readonly upstream: string, readonly message?: string, readonly endpoint?: string, readonly state: string, readonly held: boolean, readonly retryAfterMs: number, readonly pausedMs?: number, readonly ejected?: string | null }>
}

function formatList ({ holds, breakers }: ListAnswer): string {
  const nameOf = ({ upstream, message, endpoint }: { upstream: string, message?: string, endpoint?: string }) => `${upstream}${message === undefined ? '' : `/${message}`}${endpoint === undefined ? '' : ` at ${endpoint}`}`
  const lines = [
    ...holds.map(hold => `${nameOf(hold)}: held ${hold.held} by ${hold.by}${hold.until === null ? '' : ` until ${hold.until}`}: ${hold.reason}`),
    ...breakers.filter(({ held }) => !held).map(one => {
      const facts = [one.state === 'open' ? `next trial in ${one.retryAfterMs} ms` : '', (one.pausedMs ?? 0) > 0 ? `asked for a pause, ${one.pausedMs} ms left` : '', typeof one.ejected === 'string' ? `ejected: ${one.ejected}` : '']
      return `${nameOf(one)}: ${[one.state, ...facts.filter(fact => fact !== '')].join('; ')}`
    })
  ]
  return lines.length === 0 ? 'All breakers are closed.\n' : `${lines.map(printable).join('\n')}\n`
}
