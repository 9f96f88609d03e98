// The flags of one subcommand, read strictly: what is not known, given twice or lacks its value is said, with the nearest known name.
import { parseArgs } from 'node:util'
import { nearestWord } from '../lib/edit-distance.ts'
import { UsageError } from './terminal.ts'

export interface Flag {
  /** What its value is called in help; undefined = it takes none. */
  readonly value?: string
  readonly short?: string
  /** May be given more than once. */
  readonly multiple?: true
  readonly help: string
}

export type Flags = Readonly<Record<string, Flag>>

export interface Arguments {
  readonly values: ReadonlyMap<string, readonly string[]>
  readonly positionals: readonly string[]
  has (flag: string): boolean
  /** The value of a flag that is given at most once. */
  one (flag: string): string | undefined
}

/** Every subcommand has these. */
export const commonFlags: Flags = {
  help: { short: 'h', help: 'Shows this text.' },
  version: { short: 'V', help: 'Shows the version.' }
}

/** @throws UsageError */
export function readArguments (args: readonly string[], flags: Flags, most: { positionals: number }): Arguments {
  const known = { ...commonFlags, ...flags }
  const options = Object.fromEntries(Object.entries(known).map(([name, flag]) =>
    [name, { type: flag.value === undefined ? 'boolean' as const : 'string' as const, ...(flag.short === undefined ? {} : { short: flag.short }) }]))
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true })
  const values = new Map<string, string[]>()
  const positionals: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') positionals.push(token.value)
    if (token.kind !== 'option') continue
    const flag = Object.hasOwn(known, token.name) ? known[token.name] : undefined
    if (flag === undefined) throw new UsageError(`unknown flag ${token.rawName}.${didYouMean(token.name, Object.keys(known), '--')}`)
    if (flag.value === undefined) {
      if (token.value !== undefined) throw new UsageError(`${token.rawName} takes no value.`)
    } else if (token.value === undefined || token.value === '' || (token.inlineValue === false && /^-./.test(token.value))) {
      throw new UsageError(`${token.rawName} needs a value: ${token.rawName} ${flag.value}`)
    }
    const before = values.get(token.name)
    if (before !== undefined && flag.multiple !== true && flag.value !== undefined) throw new UsageError(`${token.rawName} is given twice.`)
    values.set(token.name, [...before ?? [], token.value ?? ''])
  }
  if (positionals.length > most.positionals && !values.has('help')) throw new UsageError(`too much: ${positionals.slice(most.positionals).join(' ')}`)
  return { values, positionals, has: flag => values.has(flag), one: flag => values.get(flag)?.[0] }
}

/** ' Did you mean X?' or nothing. */
export function didYouMean (written: string, known: readonly string[], prefix = ''): string {
  const near = nearestWord(written, known)
  return near === undefined ? '' : ` Did you mean ${prefix}${near}?`
}
