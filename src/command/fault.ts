// postern fault: injects faults into a message of the running gateway, shows and ends them. For game days.
import { faultLimits } from '../admin/faults.ts'
import { adminBase, jsonOfGateway } from './ask-admin.ts'
import type { Arguments } from './arguments.ts'
import { durationMs } from './duration.ts'
import type { Help } from './help.ts'
import { exitCodes, printable, UsageError, type Terminal } from './terminal.ts'

export const faultHelp: Help = {
  summary: 'Injects faults into a message, for game days; shows and ends them.',
  usage: 'postern fault [set MESSAGE | clear MESSAGE | clear --all] [flags]',
  text: `Without words: what is injected now. Needs faults.allow: true in postern.yaml. A fault set here wins over the message's own in
postern.yaml, ends at its time or with the gateway, and is in the log, in postern_faults_injected_total and in /api/faults.`,
  flags: {
    admin: { short: 'a', value: 'HOST:PORT', help: 'Admin address of the running gateway. Default: 127.0.0.1:9901.' },
    delay: { value: 'MS', help: 'Waits this long before an attempt is sent.' },
    abort: { value: 'STATUS', help: 'Answers with this status, 400 to 599, in place of the endpoint.' },
    reset: { help: 'Fails as if the endpoint had closed the connection.' },
    percent: { value: 'N', help: 'Share of the attempts. Default: 100.' },
    header: { value: 'NAME[: VALUE]', help: 'Only callers with this header.' },
    for: { value: 'TIME', help: 'How long: 90s, 10m, 2h, at most 1d.' },
    until: { value: 'TIME', help: 'In place of --for: a date and time, 2026-12-01T18:00:00Z.' },
    by: { value: 'NAME', help: 'Who does it, for whoever looks later.' },
    reason: { value: 'TEXT', help: 'Why.' },
    all: { help: 'With clear: everything that was set while running.' }
  },
  examples: [
    ['postern fault', 'what is injected now'],
    ['postern fault set GetOrder --delay 2000 --percent 10 --for 10m --by anna', 'every tenth attempt is slow for ten minutes'],
    ['postern fault set PlaceOrder --abort 503 --header "X-Game-Day: 1" --for 1h', 'only for callers who ask for it'],
    ['postern fault clear --all', 'the game day is over']
  ]
}

export async function fault (args: Arguments, terminal: Terminal): Promise<number> {
  const [verb = 'list', message] = args.positionals
  const base = adminBase(args)
  switch (verb) {
    case 'list':
      terminal.out(list(await jsonOfGateway<Listed>(base, '/api/faults')))
      return exitCodes.ok
    case 'set': {
      if (message === undefined) throw new UsageError('which message? postern fault set MESSAGE --delay MS --for TIME')
      const set = await jsonOfGateway<Shown>(base, '/api/faults', { method: 'POST', body: toBody(message, args) })
      terminal.out(`${line(set)}\n`)
      return exitCodes.ok
    }
    case 'clear': {
      if ((message === undefined) !== args.has('all')) throw new UsageError('which one? postern fault clear MESSAGE, or postern fault clear --all')
      const { cleared } = await jsonOfGateway<{ cleared: number }>(base, '/api/faults/clear', { method: 'POST', body: message === undefined ? {} : { message } })
      terminal.out(`${cleared} ${cleared === 1 ? 'fault' : 'faults'} ended.\n`)
      return exitCodes.ok
    }
    default: throw new UsageError(`there is no postern fault ${verb}: set, clear, or nothing to see what is injected.`)
  }
}

/** The order for the admin listener. What it would refuse is said in flags here. @throws UsageError */
function toBody (message: string, args: Arguments): object {
  const number = (flag: string, [least, most]: readonly [number, number]): number | undefined => {
    const text = args.one(flag)
    if (text === undefined) return undefined
    const value = Number(text)
    if (!(value >= least && value <= most)) throw new UsageError(`--${flag} takes a number from ${least} to ${most}.`)
    return value
  }
  const wanted = {
    delayMs: number('delay', faultLimits.delayMs),
    abortStatus: number('abort', faultLimits.abortStatus),
    reset: args.has('reset') ? true : undefined
  }
  if (Object.values(wanted).every(value => value === undefined)) throw new UsageError('what is to go wrong? --delay MS, --abort STATUS or --reset.')
  const percent = number('percent', faultLimits.percent)
  if (percent === 0) throw new UsageError('--percent 0 is no fault at all.')
  return { message, ...wanted, percent, header: args.one('header'), ...toEnd(args), by: args.one('by'), reason: args.one('reason') }
}

/** @throws UsageError */
function toEnd (args: Arguments): { readonly forS: number } | { readonly until: string } {
  const written = args.one('for')
  const until = args.one('until')
  if ((written === undefined) === (until === undefined)) throw new UsageError('until when? --for TIME (10m, 2h), or --until TIME (2026-12-01T18:00:00Z).')
  const forS = written === undefined ? (Date.parse(until!) - Date.now()) / 1_000 : durationMs('--for', written) / 1_000
  if (Number.isNaN(forS)) throw new UsageError(`--until: "${until}" is no date and time. For example 2026-12-01T18:00:00Z.`)
  if (forS <= 0 || forS > faultLimits.forS[1]) throw new UsageError(`${written === undefined ? '--until' : '--for'}: a fault ends within a day from now.`)
  return written === undefined ? { until: until! } : { forS }
}

interface Shown { readonly message: string, readonly fault: string, readonly percent: number, readonly header?: string, readonly until: string, readonly by: string, readonly reason: string }
interface Listed { readonly allowed: boolean, readonly faults: readonly Shown[] }

function list ({ allowed, faults }: Listed): string {
  if (faults.length > 0) return `${faults.map(line).join('\n')}\n`
  return allowed ? 'No fault was set while running.\n' : 'Faults are not allowed: faults.allow is false.\n'
}

function line ({ message, fault, percent, header, until, by, reason }: Shown): string {
  const whose = header === undefined ? '' : ` for callers with ${header}`
  const why = [by, reason].filter(text => text !== '').join(': ')
  return printable(`${message}: ${fault}, ${percent} %${whose}, until ${until}${why === '' ? '' : ` (${why})`}`)
}
