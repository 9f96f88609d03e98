// Tags and Meta of a registration -> the names that may be messages, and its version. Pure.

export interface NameRules {
  readonly messageTagPrefix?: string
  readonly messageMetaKey: string
  readonly ignoreTags: readonly string[]
  readonly environmentTag?: string
}

/** The shape of a registration decides how its tags are read; see `Registration.kind`. */
export type Kind = 'plugin' | 'req' | 'plain'

export interface ReadNames {
  readonly names: readonly string[]
  /** From ss-version-*, else from `version` in Meta; undefined when there is none. */
  readonly version: string | undefined
}

const versionTag = /^ss-version-(.+)$/i
const reqTag = /^req-(.+)$/i
/** What can never stand in the message segment of a path, so never is a message. Generic types carry a backtick, nested ones a dot. */
// eslint-disable-next-line no-control-regex
const impossible = /[\u0000-\u0020\u007f/\\?#%;+&=[\]{}<>"]/
const longestName = 256

/**
 * In a plugin's registration every tag that is not ss-version-* may be a message: custom tags look the same, only the endpoint's own
 * list can tell (so this never decides that a name is routed). The 2016 shape has req- in front of messages. Every other service names
 * its messages by the configured prefix. Meta names them for all three.
 */
export function readNames (kind: Kind, tags: readonly string[], meta: Readonly<Record<string, string>>, rules: NameRules): ReadNames {
  const ignored = rules.ignoreTags.map(patternOf)
  const names = new Map<string, string>()
  let version: string | undefined
  const add = (name: string): void => {
    if (name === '' || name.length > longestName || impossible.test(name)) return
    const key = name.toLowerCase()
    if (!names.has(key)) names.set(key, name)
  }
  for (const tag of tags) {
    const versioned = versionTag.exec(tag)
    if (versioned !== null) {
      version ??= versioned[1]
      continue
    }
    if (rules.environmentTag !== undefined && tag.toLowerCase() === rules.environmentTag.toLowerCase()) continue
    if (ignored.some((pattern) => pattern.test(tag))) continue
    const prefixed = rules.messageTagPrefix !== undefined && tag.startsWith(rules.messageTagPrefix)
    if (prefixed) add(tag.slice(rules.messageTagPrefix!.length))
    else if (kind === 'plugin') add(tag)
    else if (kind === 'req') add(reqTag.exec(tag)?.[1] ?? '')
  }
  const listed = meta[rules.messageMetaKey]
  if (listed !== undefined) for (const name of listed.split(/[\s,;]+/)) add(name)
  return { names: [...names.values()], version: version ?? (meta['version'] || undefined) }
}

/** Consul matches tags without regard to case, and so do we. */
export const carriesTag = (tags: readonly string[], wanted: string): boolean =>
  tags.some((tag) => tag.toLowerCase() === wanted.toLowerCase())

/** `*` matches anything, in any letter case. */
function patternOf (pattern: string): RegExp {
  const escaped = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${escaped.join('.*')}$`, 'is')
}
