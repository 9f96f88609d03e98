// What a client sees of an answer that streams when the service misbehaves in the middle of it: every fault, on real sockets.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { EndOfBytes, readChunks } from '../support/byte-reader.ts'
import { executions, kinds, neverMs, startAll, startBehind } from '../support/fault-calls.ts'
import { requestBytes, type RawConnection } from '../support/http-client.ts'
import * as behave from '../support/origin.ts'
import type { Behaviour } from '../support/origin.ts'
import { chunk, head, write, type RawRequest } from '../support/raw-server.ts'
import { until, within } from '../support/until.ts'

const answers = {
  'event stream': { contentType: 'text/event-stream', pieces: ['id: 1\ndata: a\n\n', 'id: 2\ndata: b\n\n', 'id: 3\ndata: c\n\n'] },
  'long chunked answer': { contentType: 'application/octet-stream', pieces: ['a', 'b', 'c'].map(letter => letter.repeat(200_000)) }
} as const
type Answer = keyof typeof answers

/** Silence that ends an answer here; far longer than what a busy machine keeps to itself. */
const silenceMs = 5_000
/** One every 100 ms: together more than that. */
const drops = 54

interface Fault {
  readonly name: string
  /** What comes after the pieces. */
  readonly then: (request: RawRequest) => Promise<unknown>
  readonly waitMs: number
  /** What the client gets after the pieces, up to the end; undefined: the answer is cut. */
  readonly rest: string | undefined
  readonly only?: Answer
}

const faults: readonly Fault[] = [
  { name: 'healthy', then: end, waitMs: neverMs, rest: '' },
  { name: 'reset in the body', then: async ({ socket }) => socket.resetAndDestroy(), waitMs: neverMs, rest: undefined },
  { name: 'closed in a chunked body', then: async ({ socket }) => socket.destroySoon(), waitMs: neverMs, rest: undefined },
  { name: 'closed in the middle of a chunk', then: async ({ socket }) => socket.end('400\r\nnot all of it'), waitMs: neverMs, rest: undefined },
  { name: 'garbage for a chunk', then: async ({ socket }) => await write(socket, 'no size\r\n'), waitMs: neverMs, rest: undefined },
  { name: 'hangs in the body', then: behave.left, waitMs: silenceMs, rest: undefined, only: 'long chunked answer' },
  // Nobody knows when the next event is due.
  { name: 'is silent for longer than the limit', then: async request => await sleep(silenceMs + 400).then(async () => await end(request)), waitMs: silenceMs, rest: '', only: 'event stream' },
  // All in all it takes longer than the limit on silence, and is never silent for so long.
  { name: 'drips', then: dripThenEnd, waitMs: silenceMs, rest: '.'.repeat(drops) }
]

async function end ({ socket }: RawRequest): Promise<void> {
  await write(socket, chunk(''))
}

async function dripThenEnd (request: RawRequest): Promise<void> {
  for (let n = 0; n < drops; n++) {
    await write(request.socket, chunk('.'))
    await sleep(100)
  }
  await end(request)
}

/** Sends each piece when the client has the one before it, so that the client gets none unless it is passed on while the answer is open. */
function inStep (contentType: string, pieces: readonly string[], then: Fault['then']): { behaviour: Behaviour, arrived: () => void, isGone: () => boolean } {
  const steps = pieces.map(() => Promise.withResolvers<void>())
  let reached = 0
  let gone: AbortSignal | undefined
  const behaviour: Behaviour = async request => {
    gone = request.gone
    await request.body()
    await write(request.socket, head(200, 'OK', [['Content-Type', contentType], ['Transfer-Encoding', 'chunked']]))
    for (const [n, piece] of pieces.entries()) {
      await write(request.socket, chunk(piece))
      // A client that leaves ends it too.
      await Promise.race([steps[n]!.promise, behave.left(request)])
    }
    await then(request)
  }
  return { behaviour, arrived: () => { steps[reached++]!.resolve() }, isGone: () => gone?.aborted === true }
}

/** Reads the pieces, saying which one has arrived, and what follows: undefined when it is cut. */
async function readInStep ({ reader }: RawConnection, pieces: readonly string[], arrived: () => void): Promise<string | undefined> {
  let text = ''
  let whole = ''
  const awaited = pieces.map(piece => { whole += piece; return whole })
  try {
    for await (const bytes of readChunks(reader, [])) {
      text += bytes.toString('latin1')
      if (text === awaited[0]) {
        awaited.shift()
        arrived()
      }
    }
  } catch (error) {
    if (!(error instanceof EndOfBytes)) throw error
    assert.deepEqual([awaited.length, text.startsWith(whole)], [0, true], 'everything before the fault has arrived')
    return undefined
  }
  assert.deepEqual([awaited.length, text.startsWith(whole)], [0, true], 'all pieces have arrived')
  return text.slice(whole.length)
}

describe('an answer that streams', { timeout: 900_000, concurrency: 4 }, () => {
  for (const { name, then, waitMs, rest, only } of faults) {
    for (const [answer, { contentType, pieces }] of Object.entries(answers)) {
      if (only !== undefined && only !== answer) continue
      for (const kind of ['GET', 'POST'] as const) {
        test(`${name} x ${answer} x ${kind}`, async () => {
          await using stack = new AsyncDisposableStack()
          const { behaviour, arrived, isGone } = inStep(contentType, pieces, then)
          const origins = await startAll(stack, [behaviour, behaviour])
          const gateway = stack.use(await startBehind(origins.map(({ url }) => url), waitMs))
          using connection = await gateway.connect({ timeoutMs: 60_000 })
          const [path, options] = kinds[kind]
          connection.send(requestBytes('postern', path, options))
          assert.equal((await connection.head()).status, 200)
          assert.equal(await within('the end of the answer', 30_000, readInStep(connection, pieces, arrived)), rest)
          await until('nothing is under way any more', async () => await gateway.metric('postern_in_flight') === 0)
          if (rest === undefined) await until('the connection to the endpoint is closed', isGone)
          // Not even a GET is sent again: its head had come.
          assert.equal(executions(...origins), 1)
        })
      }
    }
  }
})
