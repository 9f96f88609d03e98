// The response parser against llhttp: what ours takes for whole, llhttp reads alike; what only ours refuses is a rule of the list below.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProtocolError } from '../../../src/upstream/http1/errors.ts'
import { parseWithLlhttp, type LlhttpParsed } from './llhttp.ts'
import { parse, type Parsed } from './parse.ts'

const seed = Number(process.env['FUZZ_SEED'] ?? 1)
const cases = Number(process.env['FUZZ_CASES'] ?? 30_000)

/** mulberry32: the same numbers for the same seed. */
function createRandom (state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

class Dice {
  readonly #random: () => number
  constructor (state: number) { this.#random = createRandom(state) }

  /** 0 … sides − 1 */
  roll (sides: number): number { return Math.floor(this.#random() * sides) }
  chance (oneIn: number): boolean { return this.roll(oneIn) === 0 }
  pick<T> (list: readonly T[]): T { return list[this.roll(list.length)]! }
}

const statusLines = ['HTTP/1.1 200 OK', 'HTTP/1.1 200 OK', 'HTTP/1.1 200', 'HTTP/1.0 200 OK', 'HTTP/1.1 204 No Content', 'HTTP/1.1 304 Not Modified', 'HTTP/1.1 404 Not \xe9', 'HTTP/1.1 500 ', 'HTTP/2.0 200 OK', 'HTTP/0.9 200 OK', 'HTTP/1.1 999 x']
const fields = ['X: 1', 'x-Y:\t a b \t', 'Empty:', 'B: \xff\x80', 'Connection: close', 'Connection: keep-alive', 'connection: x, Close', 'Keep-Alive: timeout=5', 'Content-Length: 5', 'Content-Length: 5', 'content-length: 0', 'Content-Length: 12', 'Content-Length: 5 ', 'Content-Length: 5, 5', 'Content-Length: +5', 'Transfer-Encoding: chunked', 'Transfer-Encoding: chunked', 'transfer-encoding: Chunked ', 'Transfer-Encoding: gzip, chunked', 'Transfer-Encoding: identity', 'Transfer-Encoding: chunked, gzip', 'Upgrade: x', ' folded', 'Space : x', 'NoColon', ': none', 'Trailer: X']
const bodies = ['hello', 'hello world!', '', '5\r\nhello\r\n0\r\n\r\n', '5;a=b\r\nhello\r\n0\r\n\r\n', 'c\r\nhello world!\r\n3;x\r\nabc\r\n0\r\nX-Sum: 7\r\n\r\n', '05\r\nhello\r\n00\r\n\r\n', '0\r\n\r\n', '5 \r\nhello\r\n0\r\n\r\n', '5\r\nhello0\r\n\r\n']
const strange = ['\r', '\n', '\r\n', ' ', '\t', ':', ';', ',', '\0', '\x7f', '\x80', '\xff', '0', '5', 'a', 'F', '-', '+', '=', '"', 'chunked', '\r\n\r\n', 'HTTP/1.1 200 OK\r\n']

function generate (dice: Dice): string {
  const lines: string[] = []
  if (dice.chance(8)) lines.push('HTTP/1.1 103 Early Hints', 'Link: </a>', '')
  lines.push(dice.pick(statusLines))
  for (let count = dice.roll(5); count > 0; count--) lines.push(dice.pick(fields))
  let text = `${lines.join('\r\n')}\r\n\r\n${dice.pick(bodies)}`
  if (dice.chance(6)) text += dice.pick(bodies)
  for (let count = dice.chance(2) ? dice.roll(4) : 0; count > 0; count--) {
    const at = dice.roll(text.length + 1)
    text = text.slice(0, at) + (dice.chance(3) ? '' : dice.pick(strange)) + text.slice(at + dice.roll(3))
  }
  return text
}

/** Where ours is stricter, by what it says. */
const stricter: ReadonlyArray<readonly [says: RegExp, why: string]> = [
  [/^unknown HTTP version$/, 'llhttp knows 0.9 and 2.0'],
  [/^the answer does not begin with HTTP\/1$/, 'llhttp passes over empty lines in front, and reads HTTP/0.9 and 2.0'],
  [/^malformed status$/, 'below 100'],
  [/^a Transfer-Encoding other than chunked$/, 'the coding would reach the client without its name'],
  [/^malformed Content-Length$/, 'beyond 10^15'],
  [/^a carriage return stands alone$|^a line holds a character that it may not/, 'llhttp takes some control characters in reason phrases and values'],
  [/^more than one Content-Length$|^both Content-Length and Transfer-Encoding$/, 'in answers whose body llhttp passes over'],
  [/^the endpoint switched protocols$/, 'nobody asked for it'],
  [/^malformed field name$/, 'llhttp takes a folded line behind an empty value'],
  [/^malformed chunk extension$/, 'llhttp takes a value without a name']
]

/** Where llhttp is stricter, by what it was given; nothing of it moves the end of a body. */
const looser: ReadonlyArray<readonly [given: RegExp, why: string]> = [
  [/content-length:[^\n]*\t/i, 'a tab is white space around a value like any other (RFC 9110 section 5.6.3)'],
  [/HTTP\/1\.0 1\d\d |HTTP\/1\.1 1\d\d [^]*connection:[^\n]*close/i, 'an interim answer cannot end the connection']
]

const dropped = new Set(['connection', 'keep-alive', 'te', 'upgrade', 'proxy-connection', 'proxy-authenticate', 'transfer-encoding'])
const notInTrailers = new Set([...dropped, 'content-length', 'host', 'trailer'])

/** llhttp's fields as we pass them on: those of this hop out, and what Connection names. */
function endToEnd ({ headers }: LlhttpParsed, { head, trailers }: Parsed): { readonly ours: readonly string[], readonly theirs: readonly string[] } {
  const named = new Set<string>()
  for (let i = 0; i + 1 < headers.length; i += 2) if (headers[i]!.toLowerCase() === 'connection') for (const option of headers[i + 1]!.split(',')) named.add(option.trim().toLowerCase())
  const theirs: string[] = []
  // llhttp tells trailers as fields like any other; how many of ours are head's says where they begin.
  const before = head!.headers.length
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]!.toLowerCase()
    const inHead = theirs.length < before
    if (inHead ? dropped.has(name) || named.has(name) : notInTrailers.has(name) || named.has(name)) continue
    // What white space follows a value is no part of it (RFC 9112 section 5.1); llhttp leaves it.
    theirs.push(headers[i]!, headers[i + 1]!.replace(/[ \t]+$/, ''))
  }
  return { ours: [...head!.headers, ...trailers], theirs }
}

test(`${cases} answers, seed ${seed}`, t => {
  const dice = new Dice(seed)
  const counts = { whole: 0, cut: 0, refused: 0, stricter: 0 }
  for (let i = 0; i < cases; i++) {
    const input = generate(dice)
    const options = { headOnly: dice.chance(6), close: dice.chance(2) }
    const splits = Array.from({ length: dice.roll(4) }, () => dice.roll(input.length + 1)).sort((a, b) => a - b)
    const ours = parse(input, { ...options, splits })
    const theirs = parseWithLlhttp(input, options)
    const context = `FUZZ_SEED=${seed}, case ${i}: ${JSON.stringify({ input, ...options, splits, ours: String(ours.outcome), theirs: theirs.outcome })}`
    if (ours.outcome instanceof ProtocolError) {
      counts.refused++
      if (theirs.outcome === 'refused') continue
      counts.stricter++
      const { message } = ours.outcome
      assert.ok(stricter.some(([says]) => says.test(message)), context)
      continue
    }
    counts[ours.outcome]++
    // What fields say is judged when the head is whole, so ours may still wait where llhttp refuses.
    if (ours.outcome === 'cut' && theirs.outcome === 'refused') continue
    if (theirs.outcome === 'refused' && looser.some(([given]) => given.test(input))) continue
    assert.equal(theirs.outcome, ours.outcome, context)
    if (ours.outcome === 'cut') continue
    const all = endToEnd(theirs, ours)
    assert.deepEqual([ours.head!.status, ours.head!.reason, ours.body], [theirs.status, theirs.reason, theirs.body], context)
    assert.deepEqual(all.ours, all.theirs, context)
    // However it is split, it is the same; only what comes behind it in the same piece is seen at once.
    assert.deepEqual({ ...parse(input, options), reusable: false }, { ...ours, reusable: false }, context)
  }
  t.diagnostic(JSON.stringify(counts))
  // A generator that makes nothing but rubbish would test little.
  assert.ok(counts.whole > cases / 10 && counts.refused > cases / 10 && counts.cut > 0)
})
