// What sentences for operators are made of: their two parts, lists of names, and names as YAML and a shell take them. Pure.

/** Both are whole sentences; since when is told beside them. */
export interface Explanation {
  /** Begins with the state, in the word that log, metrics and API use for it. */
  readonly why: string
  /** What would change it. */
  readonly hint: string
}

/** Most names in one sentence; the others are counted. */
const mostNames = 3

export function list (names: readonly string[]): string {
  const shown = names.length > mostNames ? [...names.slice(0, mostNames), `${names.length - mostNames} more`] : names
  return shown.length < 2 ? shown.join() : `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}`
}

/** Names as they come, and a verb in the number of them. */
export const listWith = (names: readonly string[], one: string, several: string): string => `${list(names)} ${names.length === 1 ? one : several}`

/** A key of YAML, or a text in it, quoted where it must be. */
export const yamlKey = (name: string): string => /^[A-Za-z_][\w.-]*$/.test(name) && !/^(?:null|true|false)$/i.test(name) ? name : JSON.stringify(name)

/** A word of a command line, quoted where it must be: names come from registries, and whoever follows a hint copies it. */
export const shellWord = (name: string): string => /^[\w.@%+:,/-]+$/.test(name) ? name : `'${name.replaceAll('\'', '\'\\\'\'')}'`
