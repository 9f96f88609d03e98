import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { createMarkerParser, markedEffect, noMarkers, parseMarkers, toMarkers } from '../../src/contracts/markers.ts'
import type { GetResult } from '../../src/contracts/get.ts'
import { operation } from '../control/support.ts'

const recorded = (name: string) => readFileSync(new URL(`../fixtures/recordings/types-${name}.json`, import.meta.url), 'utf8')
const body = (...operations: unknown[]) => JSON.stringify({ operations })
const dto = (name: string, ...interfaces: string[]) => ({ request: { name, implements: interfaces.map(one => ({ name: one, namespace: 'ServiceStack' })) } })
const entries = (text: string) => [...parseMarkers(text) ?? []]

test('recorded hosts: what the DTOs say', () => {
  assert.deepEqual(entries(recorded('catalog')), [['getproduct', 'safe'], ['searchproducts', 'safe'], ['getpicture', 'safe'], ['reindexproducts', 'unsafe']])
  assert.deepEqual(entries(recorded('orders')), [['placeorder', 'unsafe'], ['cancelorder', 'idempotent'], ['orderplaced', 'unsafe'], ['countseen', 'safe'], ['uploadnote', 'unsafe']])
})

test('IPut is idempotent, IPatch is not; of several markers the strictest holds', () => {
  assert.deepEqual(entries(body(dto('A', 'IPut'), dto('B', 'IPatch'), dto('C', 'IGet', 'IDelete'), dto('D', 'IHasVersion'))), [['a', 'idempotent'], ['b', 'unsafe'], ['c', 'idempotent']])
})

test('two entries of one name: the stricter', () => assert.deepEqual(entries(body(dto('A', 'IPost'), dto('a', 'IGet'))), [['a', 'unsafe']]))

test('a service\'s own interface of that name says nothing', () => {
  assert.deepEqual(entries(body({ request: { name: 'A', implements: [{ name: 'IGet', namespace: 'Shop' }] } })), [])
})

test('PascalCase hosts are read alike', () => {
  assert.deepEqual(entries(JSON.stringify({ Operations: [{ Request: { Name: 'A', Implements: [{ Name: 'IGet', Namespace: 'ServiceStack' }] } }] })), [['a', 'safe']])
})

test('bad entries spoil nothing', () => {
  assert.deepEqual(entries(body(null, 7, {}, { request: [] }, { request: { name: 5 } }, { request: { name: 'B', implements: 'IGet' } }, { request: { name: 'C', implements: [null, 'IGet', { name: 'constructor', namespace: 'ServiceStack' }] } }, dto('A', 'IGet'))), [['a', 'safe']])
})

for (const text of ['', '<html>', '[]', '{"operations":7}', 'null']) test(`no such answer: ${text}`, () => assert.equal(parseMarkers(text), undefined))

const answer = (status: number, text = ''): GetResult => ({ kind: 'answer', status, contentType: '', poweredBy: '', body: text })
test('who publishes none has none; who cannot answer now is asked again', () => {
  assert.equal(toMarkers(answer(404)), noMarkers)
  assert.equal(toMarkers(answer(403)), noMarkers)
  assert.equal(toMarkers(answer(200, '<html>')), noMarkers)
  assert.equal(toMarkers(answer(503)), 'later')
  assert.equal(toMarkers(answer(429)), 'later')
  assert.equal(toMarkers({ kind: 'silent', connected: false, listens: false, reason: 'ECONNREFUSED' }), 'later')
  assert.equal(toMarkers({ kind: 'broken', reason: 'cut' }), 'later')
})

test('instances of a service share one object, although each writes its own address', () => {
  const parse = createMarkerParser()
  const at = (port: number, name: string) => JSON.stringify({ config: { baseUrl: `http://10.0.0.1:${port}/` }, operations: [dto(name, 'IGet')] })
  const first = parse(at(1, 'A'))
  assert.equal(parse(at(2, 'A')), first)
  assert.notEqual(parse(at(1, 'B')), first)
  assert.equal(parse('<html>'), undefined)
})

test('a marker decides where the message has one verb, or one handler for all', () => {
  const markers = new Map([['a', 'safe' as const]])
  assert.equal(markedEffect(operation('A', { actions: ['GET'] }), markers), 'safe')
  assert.equal(markedEffect(operation('A', { actions: ['ANY'] }), markers), 'safe')
  assert.equal(markedEffect(operation('A', { actions: ['GET', 'DELETE'] }), markers), undefined)
  assert.equal(markedEffect(operation('B'), markers), undefined)
  assert.equal(markedEffect(operation('A'), undefined), undefined)
})
