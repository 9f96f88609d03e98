// Distances from what Consul tells of coordinates, whatever of it is missing or broken.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { distanceMs, readDistances } from '../../src/registry/coordinates.ts'

const coord = (x: number, height = 0, adjustment = 0) => ({ Vec: [x, 0, 0], Height: height, Adjustment: adjustment, Error: 0.2 })
const own = { node: 'here', datacenter: 'dc1' }
const nodes = [{ Node: 'here', Segment: '', Coord: coord(0) }, { Node: 'near', Segment: '', Coord: coord(0.001) }, { Node: 'far', Segment: '', Coord: coord(0.020) }]
const datacenters = [
  { Datacenter: 'dc1', AreaID: 'wan', Coordinates: [{ Node: 'a.dc1', Coord: coord(0) }] },
  { Datacenter: 'dc2', AreaID: 'wan', Coordinates: [{ Node: 'b.dc2', Coord: coord(0.1) }, { Node: 'c.dc2', Coord: coord(0.05) }] }
]

test('the distance is that of Consul\'s documentation, in steps', () => {
  const at = (x: number, height: number, adjustment: number) => ({ position: [x], height, adjustment })
  assert.equal(distanceMs(at(0, 0, 0), at(0.0005, 0, 0)), 0.5)
  assert.ok(Math.abs(distanceMs(at(0, 0.005, 0), at(0.010, 0.005, 0)) / 20 - 1) < 0.25)
  assert.ok(distanceMs(at(0, 0, -0.005), at(0.020, 0, 0)) < distanceMs(at(0, 0, 0), at(0.020, 0, 0)))
  // An adjustment that would make it negative is left out.
  assert.equal(distanceMs(at(0, 0, -1), at(0.020, 0, 0)), distanceMs(at(0, 0, 0), at(0.020, 0, 0)))
})

test('nodes of the own datacenter, and whole datacenters by their nearest servers', () => {
  const distances = readDistances(nodes, datacenters, own)
  assert.equal(distances.node('dc1', 'here'), 0.5)
  assert.ok(distances.node(undefined, 'near')! < distances.node('dc1', 'far')!)
  assert.equal(distances.node('dc1', 'unknown'), undefined)
  assert.equal(distances.node('dc2', 'far'), distances.datacenter('dc2'))
  assert.ok(Math.abs(distances.datacenter('dc2')! / 50 - 1) < 0.25)
})

test('what is missing or broken is not known; drift is no news', () => {
  for (const [some, others] of [[undefined, null], [[{ Node: 1 }, { Node: 'here' }, 'x'], [{}]], [nodes.slice(1), 'x']]) {
    const distances = readDistances(some, others, own)
    assert.deepEqual([distances.node('dc1', 'near'), distances.datacenter('dc2')], [undefined, undefined])
  }
  const drifted = nodes.map(({ Coord, ...node }) => ({ ...node, Coord: { ...Coord, Vec: Coord.Vec.map(x => x * 1.05) } }))
  assert.equal(readDistances(drifted, datacenters, own).signature, readDistances(nodes, datacenters, own).signature)
})
