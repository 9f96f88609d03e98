// Consistent hash with bounded load: the same endpoint for the same key, unless it has too many calls already. Multi-probe ring.
import { hashOf, mix } from '../../lib/hash.ts'
import { mayGet, type Call, type Candidate, type Picker } from './candidate.ts'
import type { Level } from './level.ts'

/** Places on the ring where a key looks: 21 even out the arcs to within a tenth (Appleton and O'Reilly, "Multi-probe consistent hashing", 2015). */
const probes = 21
/** Most points of all endpoints together; weights are halved until they fit. */
const mostPoints = 16_384
/** Endpoints in a row that a probe passes over when they may not get the call. */
const mostSteps = 32

/**
 * Each endpoint stands on the ring by its own name, once for each unit of weight; of all probes of a key the one wins that is nearest to
 * its next endpoint. So an endpoint that goes, or may not get calls, moves its own keys and no others. One that is new or recovers takes its keys
 * over one after the other as its part grows, always the same ones first: a key moves once, and until then stays where it would be without it.
 */
export function hashRing<E extends Candidate> (level: Level<E>): Picker<E> {
  const { endpoints } = level
  const otherwise = level.picker('peak-ewma')
  let shift = 0
  const pointsOf = (endpoint: E) => Math.max(1, level.weightOf(endpoint) >> shift)
  while (endpoints.reduce((sum, endpoint) => sum + pointsOf(endpoint), 0) > mostPoints && shift < 16) shift++
  const points = endpoints.flatMap((endpoint, index) => Array.from({ length: pointsOf(endpoint) }, (_, nth) => ({ at: hashOf(`${endpoint.url} ${nth}`), index }))).sort((a, b) => a.at - b.at)
  const places = Uint32Array.from(points, ({ at }) => at)
  const owners = Int32Array.from(points, ({ index }) => index)
  const names = Uint32Array.from(endpoints, ({ url }) => hashOf(url))

  const takes = (index: number, key: number, nowMs: number): boolean => {
    const part = level.partOf(endpoints[index]!, nowMs)
    return part >= 1 || mix(key ^ names[index]!) < part * 2 ** 32
  }

  /** Nearest endpoint of all probes; -1 when none of those looked at may get the call. */
  const search = (key: number, call: Call, isBounded: boolean): number => {
    let found = -1
    let nearest = Infinity
    for (let probe = 0; probe < probes; probe++) {
      const place = mix(key + Math.imul(probe, 0x9e3779b9))
      let at = firstAtOrAfter(places, place)
      for (let step = 0; step < mostSteps && step < places.length; step++, at++) {
        if (at === places.length) at = 0
        const distance = (places[at]! - place) >>> 0
        if (distance >= nearest) break
        const endpoint = endpoints[owners[at]!]!
        if (!mayGet(endpoint, call) || !takes(owners[at]!, key, call.nowMs) || (isBounded && endpoint.inFlight >= boundOf(endpoint, call))) continue
        nearest = distance
        found = owners[at]!
        break
      }
    }
    return found
  }
  const boundOf = (endpoint: E, { boundPercent, inFlight }: Call) => Math.ceil(boundPercent / 100 * inFlight * level.weightOf(endpoint) / level.totalWeight)

  return {
    pick (call) {
      const { key } = call
      if (key === undefined) return otherwise.pick(call)
      let index = search(key, call, true)
      if (index < 0) index = search(key, call, false)
      return index < 0 ? otherwise.pick(call) : endpoints[index]
    }
  }
}

function firstAtOrAfter (places: Uint32Array, place: number): number {
  let low = 0
  let high = places.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (places[middle]! < place) low = middle + 1
    else high = middle
  }
  return low === places.length ? 0 : low
}
