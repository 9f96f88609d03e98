// A body read by many while it comes: at whose pace, how much of it is held, and what becomes of it when nobody reads. No I/O.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ArrivingBody } from '../../src/cache/arriving-body.ts'
import { Reservation, Room } from '../../src/cache/room.ts'
import { ResponseBody } from '../../src/exchange/response-body.ts'
import type { GatewayError } from '../../src/exchange/errors.ts'

const chunkBytes = 10_000
const high = ResponseBody.highWaterBytes
/** Kept up to so much. */
const most = 20 * chunkBytes

/** A body that comes in chunks, as long as it is not paused. */
function arrive () {
  const state = { paused: false, watched: false, cancelled: false, told: [] as string[] }
  const room = new Room(() => ({ maxEntryBytes: most, maxArrivingBytes: most }))
  const source = new ResponseBody({
    pause () { state.paused = true },
    resume () { state.paused = false; state.watched = true },
    cancel () { state.cancelled = true },
    watch () { state.watched = true },
    unwatch () { state.watched = false }
  })
  const body = new ArrivingBody(source, 600_000, new Reservation(room), {
    begun: kept => { state.told.push(`begun${kept ? '' : ', not kept'}`) },
    whole: chunks => { state.told.push(`whole ${Buffer.concat(chunks).length}`) },
    notKept: () => { state.told.push('not kept') },
    failed: error => { state.told.push(`failed ${error.code}`) }
  })
  body.start()
  let sent = 0
  /** Until it is paused, at most so many. */
  const send = (count: number) => {
    for (let n = 0; n < count && !state.paused; n++, sent++) source.push(Buffer.alloc(chunkBytes, sent))
  }
  return { state, room, source, body, send, get sentBytes () { return sent * chunkBytes } }
}

/** Takes what it is let, chunk by chunk. */
function readerOf (body: ResponseBody) {
  const state = { bytes: 0, ended: '', allowed: 0, body, allow (chunks: number) { state.allowed += chunks; body.resume() } }
  body.pipe({
    write (chunk) { state.bytes += chunk.length; return --state.allowed > 0 },
    end () { state.ended = 'whole' },
    fail (error: GatewayError) { state.ended = error.code }
  })
  return state
}

describe('while it is kept', () => {
  test('nobody slows it down; each reads at his own pace, and what comes whole is told', () => {
    const { state, room, source, body, send } = arrive()
    send(1)
    const [slow, fast] = [readerOf(body.read()), readerOf(body.read())]
    fast.allow(1_000)
    send(19)
    assert.equal(fast.bytes, most)
    assert.equal(room.bytes, most)
    source.end([])
    assert.deepEqual(state.told, ['begun', `whole ${most}`])
    assert.equal(fast.ended, 'whole')
    assert.equal(room.bytes, most - slow.bytes, 'what one still has to read is here')
    slow.allow(5)
    assert.equal(room.bytes, most - slow.bytes)
    slow.allow(1_000)
    assert.deepEqual([slow.bytes, slow.ended, room.bytes], [most, 'whole', 0])
  })

  test('who leaves stops nothing', () => {
    const { state, source, body, send } = arrive()
    send(1)
    body.read().cancel({ code: 'ClientClosed' } as GatewayError)
    send(1)
    source.end([])
    assert.deepEqual([state.cancelled, state.told], [false, ['begun', `whole ${2 * chunkBytes}`]])
  })
})

describe('once it is not kept', () => {
  test('it comes as fast as the slowest takes it; what was here goes as it is read, and nobody is cut', () => {
    const arriving = arrive()
    const { state, room, source, body, send } = arriving
    send(1)
    const [slow, fast] = [readerOf(body.read()), readerOf(body.read())]
    fast.allow(1_000_000)
    send(1_000)
    assert.deepEqual(state.told, ['begun', 'not kept'])
    assert.equal(arriving.sentBytes, most + chunkBytes)
    assert.deepEqual([state.paused, state.watched], [true, false], 'its readers are watched, not its source')
    assert.equal(fast.bytes, arriving.sentBytes)
    for (let n = 0; n < 40; n++) {
      slow.allow(1)
      send(1_000)
      assert.ok(arriving.sentBytes <= Math.max(most, slow.bytes + high) + 2 * chunkBytes, `${arriving.sentBytes} beside ${slow.bytes}`)
      assert.ok(room.bytes <= arriving.sentBytes - slow.bytes, `${room.bytes} beside ${slow.bytes}`)
    }
    assert.ok(arriving.sentBytes > most + high)
    source.end([])
    slow.allow(1_000_000)
    for (const reader of [slow, fast]) assert.deepEqual([reader.bytes, reader.ended], [arriving.sentBytes, 'whole'])
    assert.equal(room.bytes, 0)
    assert.deepEqual(state.told, ['begun', 'not kept'])
  })

  test('who holds it up and leaves holds it up no longer', () => {
    const { state, room, body, send } = arrive()
    send(1)
    const [slow, fast] = [readerOf(body.read()), readerOf(body.read())]
    fast.allow(1_000_000)
    send(1_000)
    assert.equal(state.paused, true)
    slow.body.cancel({ code: 'ClientClosed' } as GatewayError)
    assert.deepEqual([state.paused, state.watched, room.bytes], [false, true, 0])
    send(50)
    assert.equal(state.paused, false)
    assert.ok(fast.bytes > most + high)
  })

  test('it ends when nobody reads any more', () => {
    const { state, room, body, send } = arrive()
    send(1)
    const reader = readerOf(body.read())
    send(1_000)
    reader.body.cancel({ code: 'ClientClosed' } as GatewayError)
    assert.deepEqual([state.cancelled, room.bytes], [true, 0])
  })

  test('where nobody reads it goes on no further', () => {
    const { state, room, send } = arrive()
    send(1_000)
    assert.deepEqual([state.cancelled, state.told, room.bytes], [true, ['begun', 'not kept'], 0])
  })
})
