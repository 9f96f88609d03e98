// Through the whole gateway, many at once: no answer that is marked private or no-store, or that belongs to one caller, reaches another.
// The decisions alone have their own test (test/cache/never-to-another.test.ts); here it is key, store and collapsing as well.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startOrigins, type OriginFleet } from '../support/fleet.ts'
import { requestBytes } from '../support/http-client.ts'
import { marked as markedBy, people, pick, randomAnswer, randomCase, randomFrom } from '../support/random-answers.ts'
import { head, write, type HeaderList, type RawRequest } from '../support/raw-server.ts'
import { until } from '../support/until.ts'

const rounds = 60
const seed = 20261127

/** The caller's own words, as far as they tell callers apart. */
const callerOf = (request: RawRequest) => ['authorization', 'x-api-key', 'cookie', 'x-ss-id'].map(name => request.header(name) ?? '').join('|')
const headersOf = (lines: readonly string[]) => lines.map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])
/** Whether an answer may be given to somebody else, read by means of its own: for all, said outside of quotes. */
function isForAll (lines: readonly string[]): boolean {
  const said = lines.filter(line => /^(?:cdn-)?cache-control:/i.test(line)).map(line => line.replaceAll(/"(?:[^"\\]|\\.)*("|$)/g, quoted => /^"[\d\\]+"$/.test(quoted) ? quoted.replaceAll(/["\\]/g, '') : '')).join()
  return /public|s-maxage=\d/i.test(said)
}

for (const mode of ['pass', 'perIdentity'] as const) {
  describe(`identity.mode ${mode}`, { timeout: 300_000 }, () => {
    test('what reaches whom', async () => {
      const random = randomFrom(seed)
      /** By the number in its body: who asked for it, and with what it was answered. */
      const answers: Array<{ readonly caller: string, readonly lines: readonly string[], readonly marked: boolean }> = []
      let lines: readonly string[] = []
      let marked = false
      await using fleet = await startOrigins([async request => {
        await request.body()
        const body = String(answers.push({ caller: callerOf(request), lines, marked }) - 1)
        const own = headersOf(lines).map(([name, value]): [string, string] => [name, name === 'Set-Cookie' ? `mine=${body}` : value])
        await write(request.socket, head(200, 'OK', [...own, ['Content-Length', String(body.length)]]))
        await write(request.socket, body)
      }], { edge: { sessionHeaders: 'allow' }, messages: { Echo: { upstream: 'origin' } }, prefixes: { '/p/*': { upstream: 'origin' } }, defaults: { policy: { cache: { identity: { mode } } } } })
      const seenBy = new Map<number, Set<string>>()
      const cookies = new Set<string>()
      let reused = 0
      for (let round = 0; round < rounds; round++) {
        marked = random() < 0.4
        lines = [...random() < 0.5 ? [`Cache-Control: ${pick(random, ['max-age=60', 'MAX-AGE=60, public', 's-maxage=60', 'max-age=60, stale-if-error=60'])}`] : [], ...randomAnswer(random)]
        if (marked) {
          const mark = pick(random, ['private', 'no-store', 'max-age=60, private', 'private; max-age=60', 'max-age=60 no-store', 'public|no-store', 'NO-STORE,s-maxage=60,public'])
          // Whoever understands a status puts no-store aside (RFC 9111 section 5.2.2.3); private nobody does.
          lines = markedBy(lines.filter(line => !/no-store/i.test(mark) || !/must-understand/i.test(line)), randomCase(random, mark))
        }
        if (round % 3 === 0) lines = [...lines, 'Connection: cache-control, expires, vary, CDN-Cache-Control, set-cookie']
        // Of a message none of whose answers can be stored nothing more is tried; below a prefix it is.
        const path = `${round % 4 === 0 ? '/json/reply/Echo' : '/p/x'}?round=${round}`
        for (let turn = 0; turn < 2; turn++) {
          await Promise.all(people.flatMap(headers => [headers, headers]).map(async headers => {
            const response = await fleet.gateway.get(path, { headers: headersOf(headers) })
            if (response.status !== 200) return
            const caller = callerOf({ header: (name: string) => headersOf(headers).find(([key]) => key.toLowerCase() === name)?.[1] } as RawRequest)
            const answer = answers[Number(response.text())]!
            const context = `seed ${seed}, round ${round}, ${response.header('cache-status')}\n${answer.lines.join('\n')}\nasked for by ${answer.caller}, reached ${caller}`
            const before = seenBy.get(Number(response.text()))
            if (before !== undefined) reused++
            for (const cookie of response.all('set-cookie')) {
              assert.ok(answers[Number(cookie.slice('mine='.length))]!.caller === caller && !cookies.has(cookie), `another's cookie ${cookie}: ${context}`)
              cookies.add(cookie)
            }
            assert.ok(before === undefined || !answer.marked, `marked, and given out twice: ${context}`)
            assert.ok(answer.caller === caller || isForAll(answer.lines), `another's: ${context}`)
            seenBy.set(Number(response.text()), (before ?? new Set()).add(caller))
          }))
        }
      }
      assert.ok(reused > rounds / 4, `${reused} answers were reused: the test would say nothing`)
      assert.ok(cookies.size > rounds, `${cookies.size} cookies were given: the test would say nothing of them`)
    })
  })
}

describe('an answer for all, of which a 304 says later that it is not', { timeout: 300_000 }, () => {
  for (const mark of ['private', 'PRIVATE, max-age=60', 'no-store', 'No-Store, public, s-maxage=60']) {
    test(`${mark}: is given to nobody any more, and what comes in its place to one`, async () => {
      let marked = false
      let number = 0
      let unchanged = 0
      await using fleet = await startOrigins([async request => {
        await request.body()
        const lines: HeaderList = [['ETag', '"1"'], ['Cache-Control', marked ? mark : 'public, max-age=0, stale-if-error=600']]
        if (request.header('if-none-match') === '"1"') {
          unchanged++
          await write(request.socket, head(304, 'Not Modified', lines))
          return
        }
        const body = marked ? String(++number) : 'for all'
        await write(request.socket, head(200, 'OK', [...lines, ['Content-Length', String(body.length)]]) + body)
      }], { edge: { sessionHeaders: 'allow' }, messages: { Echo: { upstream: 'origin' } }, prefixes: { '/p/*': { upstream: 'origin' } } })
      for (const path of ['/json/reply/Echo?Id=1', '/p/x']) {
        marked = false
        unchanged = 0
        for (const headers of people) assert.equal((await fleet.gateway.get(path, { headers: headersOf(headers) })).text(), 'for all')
        assert.ok(unchanged > 0, 'it is stored, and asked about')
        marked = true
        unchanged = 0
        const answers = await Promise.all(people.flatMap(headers => [headers, headers]).map(async headers => (await fleet.gateway.get(path, { headers: headersOf(headers) })).text()))
        assert.ok(unchanged > 0, path)
        assert.ok(!answers.includes('for all'), `${path}: ${answers.join()}`)
        assert.equal(new Set(answers).size, answers.length, `${path}: ${answers.join()}`)
      }
    })
  }
})

describe('an answer that proves to be one caller\'s own, when he has gone and another waits', { timeout: 300_000 }, () => {
  const path = '/json/reply/Echo'
  const cached = { messages: { Echo: { upstream: 'origin', policy: { cache: { collapseWaitMs: 60_000, refillAfterPurge: true, refreshAhead: { minHits: 1 } } } } } }
  const pairs: Array<[name: string, ann: HeaderList, bob: HeaderList]> = [
    ['tokens', [['Authorization', 'Bearer ann']], [['Authorization', 'Bearer bob']]],
    ['API keys', [['X-Api-Key', 'ann']], [['X-Api-Key', 'bob']]],
    ['sessions', [['Cookie', 'ss-id=ann']], [['Cookie', 'ss-id=bob']]],
    ['nothing that tells them apart', [['X-Amzn-Trace-Id', 'ann']], [['X-Amzn-Trace-Id', 'bob']]]
  ]
  const waiting = async ({ gateway }: OriginFleet) => await gateway.metric('postern_in_flight', { upstream: 'origin' })

  /** The origin names whoever asks in body and cookie; what is not `held` back is for all. */
  async function startNaming (): Promise<{ fleet: OriginFleet, hold: () => void, open: () => void, [Symbol.asyncDispose]: () => Promise<void> }> {
    let held: PromiseWithResolvers<void> | undefined
    const fleet = await startOrigins([async request => {
      const own = held
      await request.body()
      await own?.promise
      const who = /ann|bob/.exec([callerOf(request), request.header('x-amzn-trace-id')].join())![0]
      const lines: HeaderList = own === undefined ? [['Cache-Control', 'public, max-age=60']] : [['Cache-Control', 'private, max-age=60'], ['Set-Cookie', `mine=${who}`]]
      await write(request.socket, head(200, 'OK', [...lines, ['Content-Length', String(who.length)]]) + who)
    }], cached)
    const open = () => { held?.resolve() }
    return {
      fleet,
      hold: () => { held = Promise.withResolvers() },
      open,
      [Symbol.asyncDispose]: async () => {
        open()
        await fleet[Symbol.asyncDispose]()
      }
    }
  }

  for (const [name, ann, bob] of pairs) {
    test(`told apart by ${name}`, async () => {
      await using naming = await startNaming()
      const { fleet, fleet: { gateway, origin } } = naming
      naming.hold()
      using first = await gateway.connect()
      first.send(requestBytes(gateway.url.slice(7), path, { headers: ann }))
      await until('the origin is asked', () => origin.received.length === 1)
      const second = gateway.get(path, { headers: bob })
      await until('both wait', async () => await waiting(fleet) === 2)
      first.close()
      await until('the first is gone', async () => await waiting(fleet) === 1)
      assert.equal(origin.received.length, 1, 'the second waits for the first one\'s answer')
      naming.open()
      const answer = await second
      assert.deepEqual([answer.text(), answer.all('set-cookie')], ['bob', ['mine=bob']])
      assert.equal(origin.received.length, 2)
    })

    test(`told apart by ${name}, when it is asked for again in the background`, async () => {
      await using naming = await startNaming()
      const { fleet, fleet: { gateway, origin } } = naming
      for (let n = 0; n < 3; n++) assert.equal((await gateway.get(path, { headers: ann })).text(), 'ann', 'said to be for all')
      naming.hold()
      assert.equal((await gateway.tell('/api/cache/purge', { all: true })).json().purged, 1)
      await until('it is asked for again', () => origin.received.length === 2)
      await until('no client waits', async () => await waiting(fleet) === 0)
      const second = gateway.get(path, { headers: bob })
      await until('the second waits', async () => await waiting(fleet) === 1)
      assert.equal(origin.received.length, 2, 'for what was asked with the first one\'s words')
      naming.open()
      const answer = await second
      assert.deepEqual([answer.text(), answer.all('set-cookie')], ['bob', ['mine=bob']])
    })
  }
})
