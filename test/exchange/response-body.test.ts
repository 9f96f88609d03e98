import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../src/exchange/errors.ts'
import { ResponseBody, type BodySink } from '../../src/exchange/response-body.ts'

function source () {
  const calls: string[] = []
  return { calls, pause: () => { calls.push('pause') }, resume: () => { calls.push('resume') }, cancel: () => { calls.push('cancel') }, watch: () => {}, unwatch: () => {} }
}
function sink (wants = true) {
  const calls: string[] = []
  return { calls, write: (chunk: Buffer) => { calls.push(chunk.toString()); return wants }, end: (trailers: readonly string[]) => { calls.push(`end${trailers.join()}`) }, fail: (error: GatewayError) => { calls.push(error.code) } } satisfies BodySink & { calls: string[] }
}

test('a body that is whole before anybody reads leaves in one piece', () => {
  const body = new ResponseBody()
  body.push(Buffer.from('ab'))
  body.push(Buffer.from('c'))
  assert.equal(body.takeWhole(), undefined)
  body.end([])
  assert.equal(body.takeWhole()?.toString(), 'abc')
})

test('what came before the reader is written first, then the rest as it comes, then the trailers', () => {
  const body = new ResponseBody()
  body.push(Buffer.from('a'))
  const reader = sink()
  body.pipe(reader)
  body.push(Buffer.from('b'))
  body.end(['X-Sum', '1'])
  assert.deepEqual(reader.calls, ['a', 'b', 'endX-Sum,1'])
})

test('a body with trailers is not taken whole: they would be lost', () => {
  const body = new ResponseBody()
  body.end(['X-Sum', '1'])
  assert.equal(body.takeWhole(), undefined)
})

test('beyond the high-water mark the source pauses until a reader comes', () => {
  const from = source()
  const body = new ResponseBody(from)
  body.push(Buffer.alloc(ResponseBody.highWaterBytes + 1))
  assert.deepEqual(from.calls, ['pause'])
  body.pipe(sink())
  assert.deepEqual(from.calls, ['pause', 'resume'])
})

test('a slow reader pauses the source until it says resume', () => {
  const from = source()
  const body = new ResponseBody(from)
  body.pipe(sink(false))
  body.push(Buffer.from('a'))
  body.push(Buffer.from('b'))
  body.resume()
  assert.deepEqual(from.calls, ['pause', 'resume'])
})

test('finished is told once: delivered, failed or cancelled', () => {
  const told: unknown[] = []
  const whole = ResponseBody.of(Buffer.from('x'))
  whole.onFinished(error => told.push(error?.code ?? 'delivered'))
  assert.equal(told.length, 0, 'not before somebody has read it')
  whole.takeWhole()

  const broken = new ResponseBody()
  broken.onFinished(error => told.push(error?.code))
  const reader = sink()
  broken.pipe(reader)
  broken.fail(new GatewayError('BodyCut'))
  broken.end([])
  assert.deepEqual(reader.calls, ['BodyCut'])

  const from = source()
  const cancelled = new ResponseBody(from)
  cancelled.onFinished(error => told.push(error?.code))
  cancelled.cancel(new GatewayError('ClientClosed'))
  cancelled.cancel(new GatewayError('ClientClosed'))
  assert.deepEqual(from.calls, ['cancel'])
  assert.deepEqual(told, ['delivered', 'BodyCut', 'ClientClosed'])
})
