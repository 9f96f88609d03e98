// Where the CPU time of a contender in Node goes: its main thread is sampled under load, after it has warmed up.
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Contender } from './contenders.ts'
import { complaint, startOrigin, type Scenario } from './scenarios.ts'
import { createCpuClock } from './support/cpu-time.ts'
import { summarize, type CpuProfile, type Time } from './support/cpu-profile.ts'
import { inspect } from './support/inspector.ts'
import { runLoad } from './support/load.ts'
import { freePorts, waitUntil } from './support/network.ts'
import { openStage } from './support/stage.ts'

export interface ProfileOptions {
  readonly contender: Contender
  readonly scenario: Scenario
  readonly seconds: number
  readonly warmUpSeconds: number
  readonly connections: number
  /** How many functions are listed. */
  readonly top: number
  /** Where the .cpuprofile is kept; undefined = nowhere. */
  readonly out: string | undefined
  readonly tools: { readonly nginx: string, readonly wrk: string }
}

const sampleMicroseconds = 250

/** Runs the load and returns the table to print. */
export const profile = async ({ contender, scenario, seconds, warmUpSeconds, connections, top, out, tools }: ProfileOptions): Promise<string> => {
  const cpuTime = createCpuClock()
  const stage = openStage()
  try {
    const [originPort = 0, port = 0, inspectorPort = 0] = await freePorts(3)
    await startOrigin(stage, tools.nginx, originPort)
    const process = await contender.start(globalThis.process.execPath, { stage, port, originPort, nodeArguments: [`--inspect=127.0.0.1:${inspectorPort}`] })
    await waitUntil(contender.name, () => complaint(port, scenario), process)
    const load = (length: number) => runLoad(stage, tools.wrk, { port, path: scenario.path, method: scenario.method, bodyBytes: scenario.bodyBytes, seconds: length, connections })
    await load(warmUpSeconds)

    const inspector = await inspect(inspectorPort)
    await inspector.call('Profiler.enable')
    await inspector.call('Profiler.setSamplingInterval', { interval: sampleMicroseconds })
    await inspector.call('Profiler.start')
    const before = cpuTime(process.pid)
    const result = await load(seconds)
    await sleep(100)
    const cpuSeconds = cpuTime(process.pid) - before
    const { profile } = await inspector.call<{ profile: CpuProfile }>('Profiler.stop')
    inspector.close()
    if (out !== undefined) writeFileSync(out, JSON.stringify(profile))

    const { busyMicroseconds, functions, totals, modules } = summarize(profile)
    const row = ({ name, microseconds }: Time) =>
      `${(microseconds / busyMicroseconds * 100).toFixed(1).padStart(6)} %  ${(microseconds / result.requests).toFixed(2).padStart(6)} µs  ${name}`
    return [
      `${contender.title}, ${scenario.title}: ${result.requests} requests, ${result.refused + result.broken} failed, ${Math.round(result.requests / result.seconds)}/s`,
      `CPU of the whole process, the sampling included: ${(cpuSeconds / result.requests * 1e6).toFixed(1)} µs a request; of its main thread: ${(busyMicroseconds / result.requests).toFixed(1)} µs`,
      '',
      'Self time by module (share of the busy main thread, per request):',
      ...modules.map(row),
      '',
      `Self time by function, the first ${top}:`,
      ...functions.slice(0, top).map(row),
      '',
      `Total time by function (with all it called), the first ${top}:`,
      ...totals.slice(0, top).map(row),
      ''
    ].join('\n')
  } finally {
    await stage.close()
  }
}
