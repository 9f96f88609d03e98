// postern start: runs a gateway until it is asked to stop.
import { readConfig, type Overrides } from '../config/load.ts'
import { ConfigError, describeProblem } from '../config/problem.ts'
import { restartNeeded } from '../config/changes.ts'
import { watchConfig } from '../config/watch.ts'
import { createGateway, type Gateway } from '../gateway.ts'
import { version } from '../version.ts'
import type { Arguments } from './arguments.ts'
import { defaultFile } from './check.ts'
import { openDataDirectory, takeDataDirectory } from './data-directory.ts'
import type { Help } from './help.ts'
import { runUntilStopped, startGateway } from './run.ts'
import type { Terminal } from './terminal.ts'

export const startHelp: Help = {
  summary: 'Runs the gateway.',
  usage: 'postern start [--config FILE] [--listen HOST:PORT] [--admin HOST:PORT] [--consul URL]',
  text: `Flags win over the file. SIGHUP, or a change of the file or of a secret's file, loads it again: a wrong one changes nothing and is logged.
SIGTERM and SIGINT finish what is in flight and end with 0; a second one ends at once with 1.
What outlives a restart (the last table, whose a name is, breakers held by hand) is kept in dataDirectory. Default: $STATE_DIRECTORY, else
postern/PORT in $XDG_STATE_HOME or ~/.local/state (none with port 0). To keep nothing write dataDirectory: none in the file.
A gateway does not start where another one that runs has its dataDirectory.`,
  flags: {
    config: { short: 'c', value: 'FILE', help: 'Configuration. Default: postern.yaml in this directory, where there is one.' },
    listen: { short: 'l', value: 'HOST:PORT', help: 'Where clients call. Default: 127.0.0.1:8080. Port 0 picks a free one.' },
    admin: { short: 'a', value: 'HOST:PORT', help: 'Where operators and probes call. Default: 127.0.0.1:9901.' },
    consul: { value: 'URL', multiple: true, help: 'Agent of Consul to watch; several: separated by commas, or given again.' }
  },
  examples: [
    ['postern start --consul http://127.0.0.1:8500', 'routes what is registered there, no file needed'],
    ['postern start --config /etc/postern/postern.yaml', ''],
    ['postern start --listen 0.0.0.0:80 --consul http://a:8500,http://b:8500', 'two agents, tried in turn']
  ]
}

export async function start (args: Arguments, terminal: Terminal): Promise<number> {
  const file = args.one('config') ?? defaultFile()
  const overrides = toOverrides(args)
  let loads = 0
  let take: ((why: string) => void) | undefined
  let missed: string | undefined
  let taken: Awaited<ReturnType<typeof takeDataDirectory>> | undefined
  // Before the first load: a change while the gateway starts is not missed.
  const watch = watchConfig(file, why => {
    if (take === undefined) missed = why
    else take(why)
  })
  const read = async () => {
    const loaded = await readConfig(file, overrides)
    // A rotated token is a change of the configuration too.
    watch.follow(loaded.secretFiles)
    return loaded
  }
  try {
    const { config, warnings } = await read()
    taken = await takeDataDirectory(config)
    const { error: unlocked } = taken
    return await runUntilStopped(terminal, async () => {
      const gateway = await startGateway(createGateway, config)
      terminal.out(`postern ${version} listening on ${gateway.addresses.listener} (admin ${gateway.addresses.admin})\n`)
      for (const warning of warnings) gateway.log.warn({ problem: describeProblem(warning) }, 'configuration warning')
      await tellKept(config.dataDirectory, gateway, unlocked)
      take = why => {
        const load = ++loads
        // Not awaited: what is wrong is logged inside, and a newer load overtakes one that hangs.
        void reload(gateway, { why, load: read, isNewest: () => load === loads, started: config })
      }
      if (missed !== undefined) take(missed)
      return { gateway, close () { loads++ } }
    })
  } finally {
    watch.close()
    await taken?.lock?.release()
  }
}

const nothingKept = 'nothing is kept over a restart: neither the last table, nor whose a name is, nor breakers held by hand'

/** `unlocked`: what kept the directory from being locked. */
async function tellKept (dataDirectory: string | undefined, { log }: Gateway, unlocked: Error | undefined): Promise<void> {
  const setting = 'dataDirectory'
  if (dataDirectory === undefined) return log.info({ setting }, nothingKept)
  const error = (await openDataDirectory(dataDirectory))?.message
  if (error === undefined && unlocked !== undefined) log.warn({ setting, dataDirectory, error: unlocked.message }, 'nothing keeps a second gateway from this directory: it cannot be locked')
  if (error === undefined) log.info({ setting, dataDirectory }, 'what outlives a restart is kept here')
  else log.warn({ setting, dataDirectory, error }, `${nothingKept}. Write dataDirectory in postern.yaml, a directory that can be written, or none`)
}

/** The command line's part of the configuration. */
export function toOverrides (args: Arguments): Overrides {
  const agents = args.values.get('consul')?.flatMap(value => value.split(',')).map(value => value.trim()).filter(value => value !== '')
  return { listen: args.one('listen'), admin: args.one('admin'), consul: agents }
}

interface Reload {
  readonly why: string
  readonly load: () => ReturnType<typeof readConfig>
  readonly isNewest: () => boolean
  /** What the gateway was started with: some settings stay so. */
  readonly started: Parameters<typeof restartNeeded>[0]
}

/** A wrong configuration changes nothing. Never rejects. */
export async function reload (gateway: Gateway, { why, load, isNewest, started }: Reload): Promise<void> {
  try {
    const { config, warnings } = await load()
    if (!isNewest()) return
    for (const warning of warnings) gateway.log.warn({ problem: describeProblem(warning) }, 'configuration warning')
    for (const setting of restartNeeded(started, config)) gateway.log.warn({ setting }, 'setting needs a restart')
    await gateway.reload(config)
  } catch (error) {
    if (!isNewest()) return
    gateway.reloadRefused()
    const fields = error instanceof ConfigError ? { problems: error.problems.map(describeProblem) } : { err: error }
    gateway.log.error({ why, ...fields }, 'configuration refused; the one before stays in force')
  }
}
