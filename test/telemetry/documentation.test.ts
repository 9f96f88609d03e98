// What operators are told in docs is what there is: names of metrics, fields of lines, error codes.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { errorTable } from '../../src/exchange/errors.ts'
import { exchangeLine, securityLine } from '../../src/telemetry/exchange-line.ts'
import { createMetrics, metricTable } from '../../src/telemetry/metrics.ts'

const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8')
const operations = read('OPERATIONS.md')
const head = '{"level":40,"severity":"warn","time":"","gateway":""'

test('every metric an alert names exists, with the labels it uses', async () => {
  const exported = await createMetrics().text()
  const specs = new Map<string, readonly string[]>(Object.values(metricTable).map(({ name, labels }) => [name, [...labels]]))
  for (const [, name, labels] of operations.matchAll(/\b(postern_[a-z_]+|nodejs_[a-z0-9_]+)(?:\{([^}]+)\})?/g)) {
    if (name!.startsWith('nodejs_')) {
      assert.ok(exported.includes(`# TYPE ${name} `), name!)
      continue
    }
    const known = specs.get(name!)
    assert.ok(known !== undefined, name!)
    for (const [, label] of (labels ?? '').matchAll(/([a-z]+)=/g)) assert.ok(known.includes(label!), `${name} has no label ${label}`)
  }
})

test('every error code named exists', () => {
  const codes = [...operations.matchAll(/`([A-Z][a-z]+[A-Z][A-Za-z]+)`/g), ...operations.matchAll(/reason=~?"([^"]+)"/g)].flatMap(([, code]) => code!.split(/\\?\|/))
  assert.ok(codes.length > 8)
  for (const code of codes) assert.ok(code in errorTable, code)
})

/** First cells of the rows of the table that follows a heading or sentence. */
const fieldsAfter = (text: string, start: string) => [...text.slice(text.indexOf(start)).matchAll(/^\| (`[^|]*) \|/gm)].flatMap(([, cell]) => [...cell!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!))

test('the table of an exchange line names its fields, all of them', () => {
  const line = exchangeLine(head, { service: '', endpoint: '', message: '', method: '', path: '', status: 503, errorCode: 'NoEndpoint', detail: { endpoints: 0 }, part: 'rest', degradedBy: 'BreakerOpen', durationMs: 1, bytes: 1, traceId: '', correlationId: '', clientAddress: '', attempts: [], retryRefused: true, fault: 'reset' })
  assert.deepEqual(fieldsAfter(operations, 'One line an exchange').sort(), Object.keys(JSON.parse(line) as object).filter(name => name !== 'msg').sort())
})

test('the table of a security line names its fields, all of them; the example is one', () => {
  const line = securityLine(head, { event: '', clientAddress: '', method: '', path: '', status: 400, correlationId: '', traceId: '', detail: { a: 1 } })
  const fields = Object.keys(JSON.parse(line) as object).sort()
  const text = read('SECURITY-LOG.md')
  assert.deepEqual(fieldsAfter(text, '| field').sort(), fields)
  assert.deepEqual(Object.keys(JSON.parse(/^\{.*\}$/m.exec(text)![0]) as object).sort(), fields)
})
