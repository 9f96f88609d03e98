// One slow service among five, as clients see it: the same story in front of Postern and of others, a round after the other.
import { fileURLToPath } from 'node:url'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { paths, storyContenders, type StoryContender } from './story/contenders.ts'
import type { DriverPlan, DriverResult } from './story/driver.ts'
import { summarize, type RoundSummary } from './story/summary.ts'
import { findProgram, versionOf } from './support/binaries.ts'
import { ask, freePorts, waitUntil } from './support/network.ts'
import { openStage } from './support/stage.ts'

export interface StoryOptions {
  /** Of those that take part in every round; the others only in the first. */
  readonly rounds: number
  readonly contenders: readonly StoryContender[]
  /** Divides every time of the story; 1 is the story as it is told. */
  readonly hurry: number
  readonly progress: (line: string) => void
}

export interface StoryRound {
  readonly contender: string
  readonly round: number
  readonly summary: RoundSummary
  readonly result: DriverResult
}

export interface Story {
  readonly plan: StoryPlan
  readonly rounds: readonly StoryRound[]
  /** Name → title and version, of those that were measured. */
  readonly titles: ReadonlyMap<string, string>
  readonly skipped: readonly string[]
}

type StoryPlan = Omit<DriverPlan, 'port' | 'controlPort'>

const services = 5

export const storyPlan = (hurry: number): StoryPlan => ({
  rate: 800, paths: paths(services), slowPercent: 5, slowDelayMs: 20_000 / hurry, warmUpS: 4, quietS: 10 / hurry, slowS: 25 / hurry, recoveryS: 12 / hurry
})

const local = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

async function runRound (contender: StoryContender, program: string, plan: StoryPlan): Promise<DriverResult> {
  const stage = openStage()
  try {
    const [port = 0, adminPort = 0, controlPort = 0, ...servicePorts] = await freePorts(3 + services)
    stage.start('services', process.execPath, [local('story/origin.ts'), String(controlPort), ...servicePorts.map(String)])
    const gateway = contender.start(program, { stage, port, adminPort, services: servicePorts })
    for (const path of plan.paths) await waitUntil(`${contender.name} ${path}`, async () => (await ask(port, path)).status === 200 ? undefined : 'no 200', gateway)
    const output = join(stage.directory, 'driver.json')
    const driver = stage.start('driver', process.execPath, [local('story/driver.ts'), JSON.stringify({ ...plan, port, controlPort } satisfies DriverPlan)], { stdoutFile: output })
    if (await driver.exit !== 0) throw new Error(driver.ended)
    if (gateway.ended !== undefined) throw new Error(gateway.ended)
    return JSON.parse(readFileSync(output, 'utf8')) as DriverResult
  } finally {
    await stage.close()
  }
}

/** Plays the story. Contenders whose program is not here are named in `skipped`. */
export async function measureStory ({ rounds, contenders, hurry, progress }: StoryOptions): Promise<Story> {
  const plan = storyPlan(hurry)
  const programs = new Map(contenders.map(contender => [contender.name, contender.program === undefined ? process.execPath : findProgram(contender.program)]))
  const told: StoryRound[] = []
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      const program = programs.get(contender.name)
      if (program === undefined || (round > 1 && !contender.everyRound)) continue
      const result = await runRound(contender, program, plan)
      const summary = summarize(result, plan)
      progress(`round ${round}, ${contender.name}: ${summary.healthyFailed} of ${summary.healthy} healthy calls failed, p99 ${summary.quietP99Ms.toFixed(1)} -> ${summary.slowP99Ms.toFixed(1)} ms, at most ${summary.pendingAll} pending, served again after ${summary.servedAgainMs ?? '-'} ms`)
      told.push({ contender: contender.name, round, summary, result })
    }
  }
  const here = contenders.filter(({ name }) => programs.get(name) !== undefined)
  return {
    plan,
    rounds: told,
    titles: new Map(here.map(({ name, title, program }) => [name, program === undefined ? title : `${title} (${versionOf(programs.get(name)!, name === 'caddy' ? 'version' : '-v')})`])),
    skipped: contenders.filter(contender => !here.includes(contender)).map(({ title, program }) => `${title}: ${program} is not installed`)
  }
}

export { storyContenders }
