// Through the whole gateway, many at once: no answer that is marked private or no-store, or that belongs to one caller, reaches another.
// The decisions alone have their own test (test/cache/never-to-another.test.ts); here it is key, store and collapsing as well.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { startOrigins } from '../support/fleet.ts'
import { people, pick, randomAnswer, randomCase, randomFrom } from '../support/random-answers.ts'
import { head, write, type RawRequest } from '../support/raw-server.ts'

const rounds = 60
const seed = 20261127

/** The caller's own words, as far as they tell callers apart. */
const callerOf = (request: RawRequest) => ['authorization', 'x-api-key', 'cookie', 'x-ss-id'].map(name => request.header(name) ?? '').join('|')
const headersOf = (lines: readonly string[]) => lines.map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)])
/** Whether an answer may be given to somebody else, read by means of its own: for all, said outside of quotes. */
function isForAll (lines: readonly string[]): boolean {
  const said = lines.filter(line => /^cache-control:/i.test(line)).join(',').replaceAll(/"(?:[^"\\]|\\.)*("|$)/g, quoted => /^"[\d\\]+"$/.test(quoted) ? quoted.replaceAll(/["\\]/g, '') : '')
  return /public|s-maxage=\d/i.test(said)
}

for (const mode of ['pass', 'perIdentity'] as const) {
  describe(`identity.mode ${mode}`, { timeout: 120_000 }, () => {
    test('what reaches whom', async () => {
      const random = randomFrom(seed)
      /** By the number in its body: who asked for it, and with what it was answered. */
      const answers: Array<{ readonly caller: string, readonly lines: readonly string[], readonly marked: boolean }> = []
      let lines: readonly string[] = []
      let marked = false
      await using fleet = await startOrigins([async request => {
        await request.body()
        const body = String(answers.push({ caller: callerOf(request), lines, marked }) - 1)
        await write(request.socket, head(200, 'OK', [...headersOf(lines), ['Content-Length', String(body.length)]]))
        await write(request.socket, body)
      }], { edge: { sessionHeaders: 'allow' }, prefixes: { '/p/*': { upstream: 'origin' } }, defaults: { policy: { cache: { identity: { mode } } } } })
      const seenBy = new Map<number, Set<string>>()
      let reused = 0
      for (let round = 0; round < rounds; round++) {
        marked = random() < 0.4
        lines = [...random() < 0.5 ? [`Cache-Control: ${pick(random, ['max-age=60', 'MAX-AGE=60, public', 's-maxage=60', 'max-age=60, stale-if-error=60'])}`] : [], ...randomAnswer(random).filter(line => !/must-understand/i.test(line))]
        if (marked) lines = [...lines, `Cache-Control: ${randomCase(random, pick(random, ['private', 'no-store', 'max-age=60, private', 'NO-STORE,s-maxage=60,public']))}`]
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
            assert.ok(before === undefined || !answer.marked, `marked, and given out twice: ${context}`)
            assert.ok(answer.caller === caller || isForAll(answer.lines), `another's: ${context}`)
            seenBy.set(Number(response.text()), (before ?? new Set()).add(caller))
          }))
        }
      }
      assert.ok(reused > rounds, `${reused} answers were reused: the test would say nothing`)
    })
  })
}
