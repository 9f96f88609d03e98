// A V8 CPU profile summed up: self and total time of functions, self time of modules. Pure.

export interface CpuProfile {
  readonly nodes: ReadonlyArray<{ readonly id: number, readonly callFrame: CallFrame, readonly children?: readonly number[] }>
  readonly samples: readonly number[]
  /** Microseconds between samples. */
  readonly timeDeltas: readonly number[]
}
export interface CallFrame { readonly functionName: string, readonly url: string, readonly lineNumber: number }

export interface Time { readonly name: string, readonly microseconds: number }
export interface ProfileSummary {
  /** Time the thread was not idle; microseconds. */
  readonly busyMicroseconds: number
  readonly idleMicroseconds: number
  /** Self time. */
  readonly functions: readonly Time[]
  /** Time in a function and everything it called; of the project's own functions and those of packages only. */
  readonly totals: readonly Time[]
  /** Self time. */
  readonly modules: readonly Time[]
}

/** The file as a reader knows it: from the package's or the project's folder on. */
export const shortFile = (url: string): string => {
  const path = url.replace(/^file:\/\//, '')
  const inPackage = path.lastIndexOf('/node_modules/')
  if (inPackage >= 0) return path.slice(inPackage + '/node_modules/'.length)
  return /\/((?:src|bench|dist)\/.*)$/.exec(path)?.[1] ?? path
}

/** What a frame belongs to: a package, a folder of ours, a part of Node, the garbage collector, or native code. */
export const moduleOf = ({ functionName, url }: CallFrame): string => {
  if (functionName === '(garbage collector)') return 'garbage collector'
  if (url === '') return 'native code and system calls'
  const node = /^node:(?:internal\/)?(?:deps\/)?([^/]+)/.exec(url)?.[1]
  if (node !== undefined) return `node:${node}`
  const file = shortFile(url)
  if (url.includes('/node_modules/')) return /^(@[^/]+\/)?[^/]+/.exec(file)![0]
  return /^(src|bench|dist)\/[^/]+/.exec(file)?.[0] ?? file
}

const sorted = (times: ReadonlyMap<string, number>): Time[] =>
  [...times].map(([name, microseconds]) => ({ name, microseconds })).sort((a, b) => b.microseconds - a.microseconds)

const add = (times: Map<string, number>, name: string, microseconds: number): void => {
  times.set(name, (times.get(name) ?? 0) + microseconds)
}

const nameOf = ({ functionName, url, lineNumber }: CallFrame): string =>
  `${functionName === '' ? '(anonymous)' : functionName}${url === '' ? '' : `  ${shortFile(url)}:${lineNumber + 1}`}`

/** Time of each node of the call tree itself: the time until the next sample is spent where a sample found the thread. */
const timeOfNodes = ({ samples, timeDeltas }: CpuProfile): Map<number, number> => {
  const times = new Map<number, number>()
  for (const [index, id] of samples.entries()) times.set(id, (times.get(id) ?? 0) + Math.max(0, timeDeltas[index + 1] ?? 0))
  return times
}

/** Sums the samples of a profile by function and by module. */
export const summarize = (profile: CpuProfile): ProfileSummary => {
  const nodes = new Map(profile.nodes.map(node => [node.id, node]))
  const parents = new Map(profile.nodes.flatMap(node => (node.children ?? []).map(child => [child, node.id] as const)))
  const functions = new Map<string, number>()
  const totals = new Map<string, number>()
  const modules = new Map<string, number>()
  let busyMicroseconds = 0
  let idleMicroseconds = 0
  for (const [id, time] of timeOfNodes(profile)) {
    const frame = nodes.get(id)?.callFrame
    if (frame === undefined || frame.functionName === '(root)') continue
    if (frame.functionName === '(idle)') {
      idleMicroseconds += time
      continue
    }
    busyMicroseconds += time
    add(functions, nameOf(frame), time)
    add(modules, moduleOf(frame), time)
    const stack = new Set<string>() // A function that calls itself counts once.
    for (let at: number | undefined = id; at !== undefined; at = parents.get(at)) {
      const { callFrame } = nodes.get(at)!
      if (callFrame.url !== '' && !callFrame.url.startsWith('node:')) stack.add(nameOf(callFrame))
    }
    stack.forEach(name => add(totals, name, time))
  }
  return { busyMicroseconds, idleMicroseconds, functions: sorted(functions), totals: sorted(totals), modules: sorted(modules) }
}
