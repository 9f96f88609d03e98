// A data plane without a gateway around it: its pipelines answer nothing, and nobody listens to what it tells.
import type { TestContext } from 'node:test'
import type { Config } from '../../src/config/schema.ts'
import { DataPlane, type Gone } from '../../src/data-plane.ts'

export interface StartedDataPlane {
  readonly plane: DataPlane
  readonly gone: Gone[]
  /** How many were built. */
  readonly pipelines: () => number
}

/** Closed with the test. `onMeter`: a route is made. `storedUntil`: of every message. */
export function startDataPlane (t: TestContext, config: Config, onMeter: (name: string) => void = () => {}, storedUntil: () => number = () => 0): StartedDataPlane {
  const gone: Gone[] = []
  let pipelines = 0
  const plane = new DataPlane({
    config,
    storedUntil,
    remembered: () => [],
    buildPipeline: () => { pipelines++; return () => Promise.reject(new Error('not called')) },
    meter: (_, name) => {
      onMeter(name)
      return { start () {}, done () {}, retry () {}, hedge () {}, degraded () {} }
    },
    events: { upstream: () => ({ breaker () {}, endpoint: () => ({ breaker () {}, reachable () {}, doubted () {}, whoIsThere: async () => {}, lost: async () => {}, attempt () {}, paused () {}, ejected () {} }) }), held () {}, swapped () {}, gone: one => gone.push(one) }
  })
  t.after(() => plane.close())
  return { plane, gone, pipelines: () => pipelines }
}
