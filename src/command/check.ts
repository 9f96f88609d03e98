// postern check: says whether a configuration is right, and everything that is not.
import { existsSync } from 'node:fs'
import { readConfig } from '../config/load.ts'
import { formatProblem } from '../config/problem.ts'
import type { Config } from '../config/schema.ts'
import { readServices } from '../registry/file-watch.ts'
import type { Arguments } from './arguments.ts'
import type { Help } from './help.ts'
import { exitCodes, UsageError, type Terminal } from './terminal.ts'

export const checkHelp: Help = {
  summary: 'Checks a configuration and says everything that is wrong with it.',
  usage: 'postern check [FILE]',
  text: 'FILE defaults to postern.yaml in this directory. The services file that it names (registry.file) is checked too.\nStarts nothing. Warnings do not change the exit code.',
  flags: {},
  examples: [
    ['postern check', 'checks ./postern.yaml'],
    ['postern check /etc/postern/postern.yaml', 'for example before a reload']
  ]
}

export async function check (args: Arguments, terminal: Terminal): Promise<number> {
  const file = args.positionals[0] ?? defaultFile()
  if (file === undefined) throw new UsageError(`name the file to check; there is no ${defaultName} here.`)
  const { config, warnings } = await readConfig(file)
  for (const warning of warnings) terminal.out(`warning: ${formatProblem(warning)}\n`)
  const doubts = await checkServices(config.registry.file)
  for (const doubt of doubts) terminal.out(`warning: ${doubt}\n`)
  const count = warnings.length + doubts.length
  terminal.out(`OK ${file}${count === 0 ? '' : ` (${count} ${count === 1 ? 'warning' : 'warnings'})`}\n${summarize(config)}`)
  return exitCodes.ok
}

/** Mistakes in it are mistakes like others; that it is not there yet is none: a running gateway waits for it. */
async function checkServices (file: string | undefined): Promise<string[]> {
  if (file === undefined) return []
  try {
    const silent = (await readServices(file)).filter(({ kind, names }) => kind === 'plugin' && names.length === 0)
    return silent.map(({ id }) => `${file}  ${id} names no messages, so that none is routed there. Hint: Write messages: [NAME] beside servicestack: true.`)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    return [`${file}  cannot be read: ${code}. Hint: A gateway starts without it, and reads it as soon as it is there.`]
  }
}

const defaultName = 'postern.yaml'

/** ./postern.yaml, where there is one. */
export function defaultFile (): string | undefined {
  return existsSync(defaultName) ? defaultName : undefined
}

function summarize (config: Config): string {
  const { consul, embedded, file } = config.registry
  const registries = [
    ...consul === undefined ? [] : [`Consul ${consul.agents.join(', ')} (${consul.services.join(', ')})`],
    ...embedded === undefined ? [] : [`embedded ${embedded.address}`],
    ...file === undefined ? [] : [`file ${file}`]
  ]
  const count = (section: object, one: string, many: string) => `${Object.keys(section).length} ${Object.keys(section).length === 1 ? one : many}`
  return [
    `  listens on  ${config.listener.tls === undefined ? 'http' : 'https'}://${config.listener.address}, admin ${config.admin.address}`,
    `  registries  ${registries.length === 0 ? 'none' : registries.join('; ')}`,
    `  settings    ${count(config.upstreams, 'upstream', 'upstreams')}, ${count(config.messages, 'message', 'messages')}, ${count(config.prefixes, 'prefix', 'prefixes')}`,
    ''
  ].join('\n')
}
