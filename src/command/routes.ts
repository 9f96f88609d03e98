// postern routes: which messages go where, and why: as the running gateway says, or as a catalog would give.
import { readConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { EndpointState } from '../control/endpoints.ts'
import type { NameState } from '../control/plan.ts'
import { createControlPlane, type ControlPlane } from '../control/control-plane.ts'
import { whatFails } from '../control/stale.ts'
import { adminBase, askGateway } from './ask-admin.ts'
import { didYouMean, type Arguments } from './arguments.ts'
import type { Help } from './help.ts'
import { filterRoutes, formatRoutes, type RoutesAnswer } from './routes-table.ts'
import { toOverrides } from './start.ts'
import { CommandError, exitCodes, printable, UsageError, type Terminal } from './terminal.ts'

/** Of names, and of registrations. */
const states: readonly string[] = [
  ...['routed', 'hidden', 'unread', 'quarantined', 'conflict', 'absent'] satisfies NameState[],
  'cached',
  ...['out', 'standby', 'waiting', 'critical', 'draining', 'ghost', 'stranger', 'unconfirmed', 'refused'] satisfies EndpointState[]
]

export const routesHelp: Help = {
  summary: 'Shows which messages are routed where, and why or why not; and the same of every registration.',
  usage: 'postern routes [--admin HOST:PORT] [--state STATE] [--grep TEXT] [--json]\n       postern routes --consul URL [--config FILE] [--wait MS]',
  text: `Asks the running gateway. With --consul it reads that catalog itself and asks the endpoints, as a gateway would, and shows what
would be routed; nothing is started and nothing is changed.`,
  flags: {
    admin: { short: 'a', value: 'HOST:PORT', help: 'Admin address of the running gateway. Default: 127.0.0.1:9901.' },
    consul: { value: 'URL', multiple: true, help: 'Agent of Consul to read in place of a running gateway.' },
    config: { short: 'c', value: 'FILE', help: 'With --consul: the configuration to apply.' },
    wait: { value: 'MS', help: 'With --consul: longest time to wait for the lists of all services. Default: 5000.' },
    state: { value: 'STATE', multiple: true, help: 'Only names and registrations in this state, e.g. hidden, quarantined, ghost.' },
    grep: { value: 'PATTERN', help: 'Only where name, upstream or reason match this regular expression, in any letter case.' },
    json: { help: 'As JSON.' }
  },
  examples: [
    ['postern routes', 'everything the local gateway knows'],
    ['postern routes --state hidden --grep order', 'why can this one not be called?'],
    ['postern routes --consul http://127.0.0.1:8500', 'what would be routed from there']
  ]
}

export async function routes (args: Arguments, terminal: Terminal): Promise<number> {
  const filter = { states: toStates(args.values.get('state')), grep: toPattern(args.one('grep')) }
  for (const flag of ['config', 'wait']) if (args.has(flag) && !args.has('consul')) throw new UsageError(`--${flag} goes with --consul: a running gateway has its own.`)
  if (args.has('consul') && args.has('admin')) throw new UsageError('--consul and --admin exclude each other: read the catalog, or ask the running gateway.')
  const text = args.has('consul')
    ? await fromCatalog(args, terminal)
    : await askGateway(adminBase(args), '/api/routes')
  const answer = filterRoutes(parse(text), filter)
  terminal.out(args.has('json') ? `${JSON.stringify(answer, undefined, 2)}\n` : formatRoutes(answer, terminal))
  return exitCodes.ok
}

function toStates (values: readonly string[] | undefined): string[] | undefined {
  const wanted = values?.flatMap(value => value.split(','))
  const unknown = wanted?.find(state => !states.includes(state))
  if (unknown !== undefined) throw new UsageError(`--state: there is no state "${unknown}".${didYouMean(unknown, states)} States: ${states.join(', ')}.`)
  return wanted
}

function toPattern (text: string | undefined): RegExp | undefined {
  try {
    return text === undefined ? undefined : new RegExp(text, 'i')
  } catch (error) {
    throw new UsageError(`--grep: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function parse (text: string): RoutesAnswer {
  try {
    const answer = JSON.parse(text) as Partial<RoutesAnswer> & { readonly cached?: RoutesAnswer['routes'] }
    if (Array.isArray(answer.routes)) return { ...answer, routes: (answer.routes as RoutesAnswer['routes']).concat(answer.cached ?? []), registrations: answer.registrations ?? [], prefixes: answer.prefixes ?? [], customRoutes: answer.customRoutes ?? [] }
  } catch (error) {
    throw new CommandError(`the answer is not JSON: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
  throw new CommandError('the answer is not that of a gateway: is this its admin address?')
}

async function fromCatalog (args: Arguments, terminal: Terminal): Promise<string> {
  const waitMs = Number(args.one('wait') ?? 5_000)
  if (!Number.isInteger(waitMs) || waitMs < 0 || waitMs > 600_000) throw new UsageError('--wait takes milliseconds, at most 600000.')
  const { config } = await readConfig(args.one('config'), { consul: toOverrides(args).consul }, { pemFiles: false })
  const errors: string[] = []
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: (fields: object, message: string) => { errors.push(`${message} ${JSON.stringify(fields)}`) } }
  const control = createControlPlane({ config: readOnly(config), log, onChanges: () => {} })
  try {
    await control.start()
    const settled = await waitForRoutes(control, waitMs)
    const { registries } = control.status()
    for (const { registry, ok, error } of registries) if (!ok) terminal.err(`postern: ${whatFails(registry)}: ${(error ?? 'no answer yet').split('\n').map(printable).join('\n')}\n`)
    if (registries.length > 0 && !registries.some(registry => registry.ok)) throw new CommandError('no registry answers, so there is nothing to show.')
    if (!settled) terminal.err(`postern: after ${waitMs} ms not every service has told its list; --wait MS waits longer.\n`)
    return await control.describe('routes')
  } finally {
    await control.close()
    for (const line of errors.slice(0, 10)) terminal.err(`postern: ${printable(line)}\n`)
  }
}

/** Looking must leave nothing behind: no registry of our own, no files. */
function readOnly (config: Config): Config {
  const { dataDirectory: _directory, registry: { embedded: _embedded, ...registry }, ...rest } = config
  return { ...rest, registry }
}

/** Whether everything was known in time: a table, every list read, everybody asked. */
async function waitForRoutes (control: ControlPlane, waitMs: number): Promise<boolean> {
  const until = performance.now() + waitMs
  const isSettled = () => {
    const { hasTable, counts } = control.status()
    return hasTable && (counts.routes['unread'] ?? 0) === 0 && (counts.registrations['waiting'] ?? 0) === 0
  }
  while (!isSettled()) {
    if (performance.now() >= until) return false
    await new Promise(resolve => { setTimeout(resolve, 20) })
  }
  return true
}
