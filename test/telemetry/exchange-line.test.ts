// Lines made by hand must be JSON, whatever a client puts into them, and must not say what nobody may read.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { exchangeLine, securityLine, severityOf, type ExchangeLine, type SecurityLine } from '../../src/telemetry/exchange-line.ts'

const head = '{"level":30,"severity":"info","time":"2026-01-02T03:04:05.678Z","gateway":"g1"'
const line: ExchangeLine = {
  service: 'Orders',
  endpoint: 'http://10.0.0.1:8080/api',
  message: 'PlaceOrder',
  method: 'POST',
  path: '/json/reply/PlaceOrder',
  status: 200,
  errorCode: undefined,
  durationMs: 12.3456,
  bytes: 693,
  traceId: '0af7651916cd43dd8448eb211c80319c',
  correlationId: 'c-1',
  clientAddress: '192.0.2.7',
  attempts: [
    { endpoint: 'http://10.0.0.2:8080/api', outcome: 'failure', result: 'ConnectFailed', durationMs: 1.04 },
    { endpoint: 'http://10.0.0.1:8080/api', outcome: 'success', result: '200', durationMs: 10.96 }
  ]
}
const refusal: SecurityLine = {
  event: 'BadRequestTarget',
  clientAddress: '192.0.2.7',
  method: 'GET',
  path: '/json/reply/%2e%2e/SlowReport',
  status: 400,
  correlationId: 'c-2',
  traceId: '0af7651916cd43dd8448eb211c80319c',
  detail: { rule: 'dot-segment', position: 3 }
}
const parse = (text: string) => JSON.parse(text) as Record<string, unknown>

test('an exchange line carries every documented field', () => {
  assert.deepEqual(parse(exchangeLine(head, line)), {
    level: 30,
    severity: 'info',
    time: '2026-01-02T03:04:05.678Z',
    gateway: 'g1',
    service: 'Orders',
    endpoint: 'http://10.0.0.1:8080/api',
    message: 'PlaceOrder',
    method: 'POST',
    path: '/json/reply/PlaceOrder',
    status: 200,
    ms: 12.3,
    bytes: 693,
    traceId: '0af7651916cd43dd8448eb211c80319c',
    correlationId: 'c-1',
    client: '192.0.2.7',
    attempts: [
      { endpoint: 'http://10.0.0.2:8080/api', outcome: 'failure', result: 'ConnectFailed', ms: 1 },
      { endpoint: 'http://10.0.0.1:8080/api', outcome: 'success', result: '200', ms: 11 }
    ],
    msg: 'exchange'
  })
})

test('an exchange without an endpoint leaves it out, one with an error names it', () => {
  const parsed = parse(exchangeLine(head, { ...line, endpoint: undefined, attempts: [], errorCode: 'MessageNotFound', status: 404 }))
  assert.equal('endpoint' in parsed, false)
  assert.equal(parsed.error, 'MessageNotFound')
  assert.deepEqual(parsed.attempts, [])
})

const hostile = ['"', '\\', '"}\n{"level":60,"msg":"forged', '\u0000\u001b[31m', '\ud800', 'ä€😀', '\u2028', '\x7f']
for (const text of hostile) {
  test(`client text ${JSON.stringify(text)} stays one JSON string on one line`, () => {
    const written = exchangeLine(head, { ...line, method: text, path: text, correlationId: text, traceId: text, clientAddress: text })
    assert.equal(written.indexOf('\n'), written.length - 1)
    const parsed = parse(written)
    assert.equal(parsed.correlationId, text)
    assert.equal(parsed.path, text)
    assert.equal(parsed.msg, 'exchange')
    const refused = parse(securityLine(head, { ...refusal, path: text, detail: { [text]: text } }))
    assert.deepEqual(refused.detail, { [text]: text })
    assert.equal(refused.level, 30)
  })
}

test('a query is never logged: keys and passwords travel in it', () => {
  const target = '/json/reply/Authenticate?password=hunter2&authsecret=x'
  assert.equal(exchangeLine(head, { ...line, path: target }).includes('hunter2'), false)
  assert.equal(securityLine(head, { ...refusal, path: target }).includes('hunter2'), false)
})

test('client text is bounded in length and attempts in number', () => {
  const long = 'x'.repeat(100_000)
  const attempts = Array.from({ length: 1_000 }, () => line.attempts[0]!)
  const written = exchangeLine(head, { ...line, method: long, path: long, correlationId: long, clientAddress: long, attempts })
  assert.ok(written.length < 4_000, `${written.length}`)
  const detail = Object.fromEntries(Array.from({ length: 1_000 }, (_, i) => [`k${i}`, long]))
  assert.ok(securityLine(head, { ...refusal, detail }).length < 5_000)
})

test('a security line carries every documented field; what is no plain value is left out of its detail', () => {
  const written = securityLine(head, { ...refusal, detail: { rule: 'dot-segment', position: 3, headers: { cookie: 'secret' }, nan: NaN } })
  assert.equal(written.includes('secret'), false)
  assert.deepEqual(parse(written), {
    level: 30,
    severity: 'info',
    time: '2026-01-02T03:04:05.678Z',
    gateway: 'g1',
    stream: 'security',
    event: 'BadRequestTarget',
    client: '192.0.2.7',
    method: 'GET',
    path: '/json/reply/%2e%2e/SlowReport',
    status: 400,
    correlationId: 'c-2',
    traceId: '0af7651916cd43dd8448eb211c80319c',
    detail: { rule: 'dot-segment', position: 3 },
    msg: 'refused'
  })
})

const durations = [{ ms: 0, text: '0.0' }, { ms: 0.04, text: '0.0' }, { ms: 0.05, text: '0.1' }, { ms: 9.96, text: '10.0' }, { ms: 12_345.67, text: '12345.7' }, { ms: 4e9, text: '4000000000.0' }]
for (const { ms, text } of durations) {
  test(`${ms} ms are written as ${text}`, () => {
    assert.ok(exchangeLine(head, { ...line, durationMs: ms }).includes(`"ms":${text},"bytes"`))
  })
}

const severities = [
  { status: 200, code: undefined, severity: 'info' },
  { status: 404, code: 'MessageNotFound', severity: 'info' },
  { status: 499, code: 'ClientClosed', severity: 'info' },
  { status: 500, code: undefined, severity: 'warn' },
  { status: 503, code: 'BulkheadFull', severity: 'warn' },
  { status: 500, code: 'InternalError', severity: 'error' }
]
for (const { status, code, severity } of severities) {
  test(`${status} ${code ?? 'of a service'} is logged as ${severity}`, () => assert.equal(severityOf(status, code), severity))
}
