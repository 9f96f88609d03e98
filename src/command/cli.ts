// postern <command>: finds the subcommand, turns what it throws into a message and an exit code.
import { ConfigError } from '../config/problem.ts'
import { version } from '../version.ts'
import { didYouMean, readArguments, type Arguments } from './arguments.ts'
import { cache, cacheHelp } from './cache.ts'
import { breaker, breakerHelp } from './breaker.ts'
import { check, checkHelp } from './check.ts'
import { demo, demoHelp } from './demo.ts'
import { fault, faultHelp } from './fault.ts'
import { formatHelp, formatOverview, type Help } from './help.ts'
import { routes, routesHelp } from './routes.ts'
import { settle, settleHelp } from './settle.ts'
import { start, startHelp } from './start.ts'
import { CommandError, exitCodes, UsageError, type Terminal } from './terminal.ts'

interface Command {
  readonly help: Help
  readonly positionals: number
  readonly run: (args: Arguments, terminal: Terminal) => Promise<number>
}

const commands: Readonly<Record<string, Command>> = {
  start: { help: startHelp, positionals: 0, run: start },
  check: { help: checkHelp, positionals: 1, run: check },
  routes: { help: routesHelp, positionals: 0, run: routes },
  settle: { help: settleHelp, positionals: 2, run: settle },
  cache: { help: cacheHelp, positionals: 2, run: cache },
  fault: { help: faultHelp, positionals: 2, run: fault },
  breaker: { help: breakerHelp, positionals: 2, run: breaker },
  demo: { help: demoHelp, positionals: 0, run: demo }
}

/** Runs the command to its end; `args` without node and script. Resolves with the exit code. */
export async function runCommand (args: readonly string[], terminal: Terminal): Promise<number> {
  try {
    return await dispatch(args, terminal)
  } catch (error) {
    if (error instanceof UsageError) {
      terminal.err(`postern: ${error.message}\nTry: postern ${commandName(args) ?? ''}${commandName(args) === undefined ? '' : ' '}--help\n`)
      return exitCodes.usage
    }
    if (error instanceof ConfigError) {
      terminal.err(`${error.message}\npostern: the configuration is wrong: ${error.problems.length} ${error.problems.length === 1 ? 'problem' : 'problems'}\n`)
      return exitCodes.config
    }
    if (error instanceof CommandError) {
      terminal.err(`postern: ${error.message}\n`)
      return exitCodes.failed
    }
    throw error
  }
}

async function dispatch (args: readonly string[], terminal: Terminal): Promise<number> {
  const overview = formatOverview(Object.fromEntries(Object.entries(commands).map(([name, { help }]) => [name, help])))
  const [first, ...rest] = args
  if (first === undefined) {
    terminal.err(overview)
    return exitCodes.usage
  }
  if (first === '--version' || first === '-V' || first === 'version') return show(terminal, `${version}\n`)
  if (first === '--help' || first === '-h') return show(terminal, overview)
  if (first === 'help') return show(terminal, rest[0] === undefined ? overview : formatHelp(find(rest[0]).help))
  if (first.startsWith('-')) throw new UsageError(`the command comes first: ${Object.keys(commands).join(', ')}.`)
  const command = find(first)
  const parsed = readArguments(rest, command.help.flags, { positionals: command.positionals })
  if (parsed.has('help')) return show(terminal, formatHelp(command.help))
  if (parsed.has('version')) return show(terminal, `${version}\n`)
  return await command.run(parsed, terminal)
}

function show (terminal: Terminal, text: string): number {
  terminal.out(text)
  return exitCodes.ok
}

function find (name: string): Command {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined
  if (command === undefined) throw new UsageError(`there is no command "${name}".${didYouMean(name, Object.keys(commands))} Commands: ${Object.keys(commands).join(', ')}.`)
  return command
}

const commandName = (args: readonly string[]) => args[0] !== undefined && Object.hasOwn(commands, args[0]) ? args[0] : undefined
