// The help texts. Data and their layout.
import { commonFlags, type Flags } from './arguments.ts'

export interface Help {
  /** One line, for the list of subcommands. */
  readonly summary: string
  readonly usage: string
  readonly text?: string
  readonly flags: Flags
  readonly examples: ReadonlyArray<readonly [command: string, what: string]>
}

const exitText = `Exit codes:
  0  it worked; a gateway was asked to stop and did
  1  it failed while running (address in use, nobody answers, a second signal)
  2  the command line is wrong
  3  the configuration is wrong
`

export function formatHelp (help: Help): string {
  const parts = [`Usage: ${help.usage}\n\n${help.summary}\n`]
  if (help.text !== undefined) parts.push(`${help.text}\n`)
  parts.push(`Flags:\n${formatFlags({ ...help.flags, ...commonFlags })}`, formatExamples(help.examples), exitText)
  return parts.join('\n')
}

export function formatOverview (commands: Readonly<Record<string, Help>>): string {
  const width = Math.max(...Object.keys(commands).map(name => name.length))
  return [
    'Usage: postern <command> [flags]\n\nAn API gateway for message-based services: it routes by message name, live from Consul.\n',
    `Commands:\n${Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}\n`).join('')}`,
    `Flags:\n${formatFlags(commonFlags)}`,
    formatExamples([
      ['postern demo', 'a gateway with sample services behind it'],
      ['postern start --consul http://127.0.0.1:8500', 'routes what is registered there'],
      ['postern start --help', 'more about one command']
    ]),
    exitText
  ].join('\n')
}

function formatFlags (flags: Flags): string {
  const rows = Object.entries(flags).map(([name, { value, short, help }]) =>
    [`${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`, help] as const)
  const width = Math.max(...rows.map(([left]) => left.length))
  return rows.map(([left, help]) => `  ${left.padEnd(width)}  ${help}\n`).join('')
}

function formatExamples (examples: Help['examples']): string {
  const width = Math.max(...examples.map(([command]) => command.length))
  return `Examples:\n${examples.map(([command, what]) => what === '' ? `  ${command}\n` : `  ${command.padEnd(width)}  # ${what}\n`).join('')}`
}
