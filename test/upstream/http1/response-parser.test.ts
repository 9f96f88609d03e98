import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProtocolError } from '../../../src/upstream/http1/errors.ts'
import { maxHeadBytes, ResponseParser } from '../../../src/upstream/http1/response-parser.ts'
import { parse, type Parsed } from './parse.ts'

const crlf = (...lines: string[]): string => lines.map(line => `${line}\r\n`).join('')
const head = (...fields: string[]): string => crlf('HTTP/1.1 200 OK', ...fields, '')
const chunked = (body: string): string => head('Transfer-Encoding: chunked') + body

interface Row {
  readonly name: string
  readonly bytes: string
  readonly headOnly?: boolean
  readonly close?: boolean
  readonly status?: number
  readonly reason?: string
  readonly headers?: string[]
  readonly body?: string
  readonly trailers?: string[]
  readonly reusable?: boolean
  readonly informational?: Parsed['informational']
}

const whole: Row[] = [
  { name: 'a length', bytes: head('Content-Length: 5') + 'hello', headers: ['Content-Length', '5'], body: 'hello' },
  { name: 'a length of nothing', bytes: head('Content-Length: 0'), headers: ['Content-Length', '0'] },
  { name: 'order, letter case, repetition and white space around values', bytes: head('b:1', 'A: \t 2 \t', 'b:  ', 'Set-Cookie: x=1', 'Set-Cookie: y=2', 'Content-Length: 0'), headers: ['b', '1', 'A', '2', 'b', '', 'Set-Cookie', 'x=1', 'Set-Cookie', 'y=2', 'Content-Length', '0'] },
  { name: 'no reason phrase', bytes: 'HTTP/1.1 204\r\n\r\n', status: 204, reason: '' },
  { name: 'an empty reason phrase', bytes: 'HTTP/1.1 204 \r\n\r\n', status: 204, reason: '' },
  { name: 'a reason phrase with bytes beyond ASCII', bytes: 'HTTP/1.1 400 Ung\xc3\xbcltig  ! \r\nContent-Length: 0\r\n\r\n', status: 400, reason: 'Ung\xc3\xbcltig  ! ', headers: ['Content-Length', '0'] },
  { name: 'value bytes beyond ASCII, byte for byte', bytes: head('X: \xe4\xff\x80', 'Content-Length: 0'), headers: ['X', '\xe4\xff\x80', 'Content-Length', '0'] },
  { name: 'chunks', bytes: chunked('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'), headers: [], body: 'hello world' },
  { name: 'chunk sizes in any letter case, with leading zeros', bytes: chunked('00a\r\n0123456789\r\nA\r\nabcdefghij\r\n000\r\n\r\n'), headers: [], body: '0123456789abcdefghij' },
  { name: 'chunk extensions', bytes: chunked('2;a;b=c;d="e f"\r\nok\r\n0;last\r\n\r\n'), headers: [], body: 'ok' },
  {
    name: 'trailers: nothing that controls the answer is among them (RFC 9110 section 6.5.1)',
    bytes: chunked('2\r\nok\r\n0\r\nCache-Control: max-age=31536000\r\nEXPIRES: Never\r\ncdn-cache-control: max-age=1\r\nX-Accel-Expires: 9\r\nSet-Cookie: a=1\r\nVary: x\r\nAge: 0\r\nDate: x\r\nContent-Encoding: gzip\r\nLocation: /\r\nETag: "a"\r\nRepr-Digest: x\r\n\r\n'),
    headers: [],
    body: 'ok',
    trailers: ['ETag', '"a"', 'Repr-Digest', 'x']
  },
  { name: 'trailers; what would frame a message is not among them', bytes: chunked('2\r\nok\r\n0\r\nX-Sum: 7\r\nContent-Length: 9\r\nx-b:\r\n\r\n'), headers: [], body: 'ok', trailers: ['X-Sum', '7', 'x-b', ''] },
  { name: 'chunked in any letter case', bytes: head('transfer-encoding: CHUNKED') + '0\r\n\r\n', headers: [] },
  { name: 'a body that ends with the connection', bytes: head('X: 1') + 'all of it', close: true, headers: ['X', '1'], body: 'all of it', reusable: false },
  { name: 'an empty body that ends with the connection', bytes: head(), close: true, headers: [], reusable: false },
  { name: 'HEAD has no body, whatever it announces', bytes: head('Content-Length: 5'), headOnly: true, headers: ['Content-Length', '5'] },
  { name: 'HEAD of a chunked answer', bytes: head('Transfer-Encoding: chunked'), headOnly: true, headers: [] },
  { name: '304 that announces a body: none comes, and its connection is not trusted', bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n', status: 304, reason: 'Not Modified', headers: ['Content-Length', '5'], reusable: false },
  { name: '204 that announces chunks', bytes: 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n', status: 204, reason: 'No Content', headers: [], reusable: false },
  { name: 'bytes behind the end make the connection unusable', bytes: head('Content-Length: 2') + 'ok' + head('Content-Length: 0'), headers: ['Content-Length', '2'], body: 'ok', reusable: false },
  { name: '1xx before the answer', bytes: 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n' + head('Content-Length: 2') + 'ok', headers: ['Content-Length', '2'], body: 'ok', informational: [{ status: 103, headers: ['Link', '</a>'] }, { status: 100, headers: [] }] },
  { name: 'Connection: close', bytes: head('Connection: Close', 'Content-Length: 0'), headers: ['Content-Length', '0'], reusable: false },
  { name: 'what Connection names stays here', bytes: head('Connection: x-one, close', 'X-One: 1', 'Keep-Alive: timeout=5', 'Upgrade: h2c', 'Proxy-Connection: x', 'TE: x', 'Proxy-Authenticate: x', 'Content-Length: 0'), headers: ['Content-Length', '0'], reusable: false },
  { name: 'HTTP/1.0 is not kept', bytes: 'HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n', headers: ['Content-Length', '0'], reusable: false },
  {
    name: 'what is meant for whoever gets the answer Connection may not name (RFC 9110 section 7.6.1)',
    bytes: head('Connection: Cache-Control, X-Two, expires', 'Connection: Vary, cdn-cache-control, Set-Cookie, ETag, content-type, age, Date', 'Cache-Control: private', 'Expires: 0', 'Vary: User-Agent', 'X-Two: 2', 'Set-Cookie: a=1', 'ETag: "a"', 'Content-Length: 0'),
    headers: ['Cache-Control', 'private', 'Expires', '0', 'Vary', 'User-Agent', 'Set-Cookie', 'a=1', 'ETag', '"a"', 'Content-Length', '0']
  },
  { name: 'HTTP/1.0 that says so is kept', bytes: 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n', headers: ['Content-Length', '0'] },
  { name: 'HTTP/1.0 in chunks is read, and not kept (RFC 9112 section 6.1)', bytes: 'HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', headers: [], body: 'ok', reusable: false },
  { name: 'a status nobody knows', bytes: 'HTTP/1.1 999 Strange\r\nContent-Length: 0\r\n\r\n', status: 999, reason: 'Strange', headers: ['Content-Length', '0'] }
]

function assertRow (parsed: Parsed, row: Row): void {
  assert.equal(parsed.outcome, 'whole')
  assert.deepEqual(
    { status: parsed.head!.status, reason: parsed.head!.reason, headers: parsed.head!.headers, body: parsed.body, trailers: parsed.trailers, informational: parsed.informational },
    { status: row.status ?? 200, reason: row.reason ?? 'OK', headers: row.headers ?? [], body: row.body ?? '', trailers: row.trailers ?? [], informational: row.informational ?? [] })
}

/** Lines of text -> flat list. */
const fieldsOf = (lines: string): string[] => lines.split('\r\n').slice(0, -1).flatMap(line => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).replace(/^[\t ]+|[\t ]+$/g, '')])

for (const row of whole) {
  test(`the same as lines: ${row.name}`, () => {
    const { headers, lines } = parse(row.bytes, row).head!
    if (/^Connection: .*x-(?:one|two)/mi.test(row.bytes)) assert.equal(lines, undefined)
    else assert.deepEqual(fieldsOf(lines!), headers)
  })

  test(`read: ${row.name}`, () => {
    const parsed = parse(row.bytes, row)
    assertRow({ ...parsed, head: { ...parsed.head!, reason: parsed.head!.reason } }, { ...row, reason: row.reason ?? (row.status === undefined ? 'OK' : row.reason!) })
    assert.equal(parsed.reusable, row.reusable ?? true)
  })

  test(`read in two pieces, split anywhere, and byte by byte: ${row.name}`, () => {
    for (let at = 1; at < row.bytes.length; at++) assertRow(parse(row.bytes, { ...row, splits: [at] }), row)
    assertRow(parse(row.bytes, { ...row, splits: Array.from(row.bytes, (_, at) => at) }), row)
  })
}

const refused: ReadonlyArray<readonly [name: string, bytes: string]> = [
  ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['another protocol, before its line ends', 'SSH'],
  ['HTTP in small letters', 'http/1.1 200 OK\r\n\r\n'],
  ['HTTP/2', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['HTTP/1.2', 'HTTP/1.2 200 OK\r\n\r\n'],
  ['an empty line first', '\r\nHTTP/1.1 200 OK\r\n\r\n'],
  ['two spaces before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
  ['a tab before the status', 'HTTP/1.1\t200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['a status with a sign', 'HTTP/1.1 +20 OK\r\n\r\n'],
  ['lines that end with LF alone', 'HTTP/1.1 200 OK\nContent-Length: 0\n\n'],
  ['a field that ends with LF alone', 'HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n'],
  ['a carriage return within the reason', 'HTTP/1.1 200 O\rK\r\n\r\n'],
  ['a carriage return within a value', head('X: a\rb')],
  ['a carriage return at the end of a value', head('X: a\r')],
  ['an empty line of CR alone', 'HTTP/1.1 200 OK\r\n\rX'],
  ['NUL in a value', head('X: a\0b')],
  ['another control character in a value', head('X: a\x07')],
  ['DEL in a value', head('X: a\x7f')],
  ['a folded value', 'HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n'],
  ['white space before a name', 'HTTP/1.1 200 OK\r\n X: a\r\n\r\n'],
  ['white space before the colon', head('Content-Length : 0')],
  ['a name without a colon', head('Strange')],
  ['a name of nothing', head(': x')],
  ['a name with a character that it may not have', head('X@y: 1')],
  ['a name beyond ASCII', head('\xc4: 1')],
  ['two lengths', head('Content-Length: 1', 'Content-Length: 2')],
  ['the same length twice', head('Content-Length: 1', 'content-length: 1')],
  ['a list of lengths', head('Content-Length: 1, 1')],
  ['a length with a sign', head('Content-Length: +1')],
  ['a negative length', head('Content-Length: -1')],
  ['a hexadecimal length', head('Content-Length: 0x10')],
  ['a length with a fraction', head('Content-Length: 1.0')],
  ['an empty length', head('Content-Length:')],
  ['a length beyond what a number holds', head('Content-Length: 99999999999999999999')],
  ['a length beside chunks', head('Content-Length: 1', 'Transfer-Encoding: chunked')],
  ['chunks beside a length', head('Transfer-Encoding: chunked', 'Content-Length: 1')],
  ['chunked twice', head('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked')],
  ['another transfer coding', head('Transfer-Encoding: gzip')],
  ['another transfer coding below chunked', head('Transfer-Encoding: gzip, chunked')],
  ['chunked, misspelled', head('Transfer-Encoding: xchunked')],
  ['a length beside chunks in the answer to HEAD', head('Content-Length: 1', 'Transfer-Encoding: chunked')],
  ['a switch of protocols nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'],
  ['a chunk without a size', chunked('\r\n')],
  ['a chunk size that is none', chunked('xyz\r\n')],
  ['a chunk size with 0x', chunked('0x5\r\nhello\r\n')],
  ['a chunk size with a sign', chunked('-5\r\n')],
  ['white space behind a chunk size', chunked('5 \r\nhello\r\n')],
  ['white space before a chunk size', chunked(' 5\r\nhello\r\n')],
  ['a chunk size that ends with LF alone', chunked('5\nhello\r\n')],
  ['a chunk size beyond what a number holds', chunked('fffffffffffffff\r\n')],
  ['a chunk size of many zeros', chunked(`${'0'.repeat(20)}5\r\n`)],
  ['a chunk longer than its size', chunked('4\r\nhello\r\n')],
  ['a chunk that ends with LF alone', chunked('5\r\nhello\n')],
  ['a control character in an extension', chunked('5;a\0\r\nhello\r\n')],
  ['extensions without end', chunked(`5;${'x'.repeat(5_000)}`)],
  ['a folded trailer', chunked('0\r\nX: a\r\n b\r\n\r\n')],
  ['trailers without end', chunked(`0\r\nX: ${'x'.repeat(maxHeadBytes)}`)],
  ['a head without end', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(maxHeadBytes)}`],
  ['a head beyond the limit, whole', head(`X: ${'x'.repeat(maxHeadBytes)}`)],
  ['a first line without end', `HTTP/1.1 200 ${'x'.repeat(maxHeadBytes)}`]
]

for (const [name, bytes] of refused) {
  test(`refused, in one piece and split anywhere: ${name}`, () => {
    assert.ok(parse(bytes).outcome instanceof ProtocolError)
    const step = Math.ceil(bytes.length / 300)
    for (let at = 1; at < bytes.length; at += step) assert.ok(parse(bytes, { splits: [at] }).outcome instanceof ProtocolError, `split at ${at}`)
    if (bytes.length < 1_000) assert.ok(parse(bytes, { splits: Array.from(bytes, (_, at) => at) }).outcome instanceof ProtocolError)
  })
}

test('what is not whole is cut, wherever it ends', () => {
  for (const bytes of [head('Content-Length: 5') + 'hello', chunked('5;a=b\r\nhello\r\n0\r\nX: 1\r\n\r\n'), 'HTTP/1.1 103 Early Hints\r\n\r\n' + head('Content-Length: 1') + 'x']) {
    for (let length = 0; length < bytes.length; length++) assert.equal(parse(bytes.slice(0, length), { close: true }).outcome, 'cut', `${length} bytes`)
  }
})

test('the head of the largest size passes, piece by piece', () => {
  const frame = head('X: ', 'Content-Length: 0')
  const bytes = head(`X: ${'x'.repeat(maxHeadBytes - frame.length)}`, 'Content-Length: 0')
  assert.equal(bytes.length, maxHeadBytes)
  assert.equal(parse(bytes, { splits: [10_000, 20_000, 65_535] }).outcome, 'whole')
})

test('how long the endpoint keeps the connection', () => {
  const says = (value: string) => parse(head(`Keep-Alive: ${value}`, 'Content-Length: 0')).head!.keepAliveMs
  assert.deepEqual(['timeout=5', 'timeout=5, max=100', 'max=100,timeout = 7', 'TIMEOUT="3"', 'max=100', 'timeout=x'].map(says), [5_000, 5_000, 7_000, 3_000, undefined, undefined])
})

test('a small body in one piece comes as text, any other in pieces', () => {
  const kinds = (bytes: string, splits: number[] = []) => {
    const seen: string[] = []
    const parser = new ResponseParser({ onInformational () {}, onHead () {}, onData: piece => seen.push(`bytes ${piece.length}`), onText: text => seen.push(`text ${text.length}`), onComplete: () => seen.push('end') })
    parser.expect(false)
    let from = 0
    for (const to of [...splits, bytes.length]) {
      parser.push(Buffer.from(bytes.slice(from, to), 'latin1'), to - from)
      from = to
    }
    return seen
  }
  const start = head('Content-Length: 5')
  assert.deepEqual(kinds(`${start}hello`), ['text 5', 'end'])
  assert.deepEqual(kinds(`${start}hello`, [start.length]), ['text 5', 'end'])
  assert.deepEqual(kinds(`${start}hello`, [start.length + 2]), ['bytes 2', 'bytes 3', 'end'])
  assert.deepEqual(kinds(head('Content-Length: 16384') + 'x'.repeat(16_384)), ['text 16384', 'end'])
  assert.deepEqual(kinds(head('Content-Length: 16385') + 'x'.repeat(16_385)), ['bytes 16385', 'end'])
  assert.deepEqual(kinds(chunked('2\r\nok\r\n0\r\n\r\n')), ['bytes 2', 'end'])
})

test('bytes that nobody asked for are refused', () => {
  const parser = new ResponseParser({ onInformational () {}, onHead () {}, onData () {}, onText () {}, onComplete () {} })
  assert.throws(() => parser.push(Buffer.from('HTTP/1.1 200 OK\r\n'), 5), ProtocolError)
})

test('a head that comes byte by byte costs no more than its length', () => {
  // Looked at anew at each byte it would be 2 × 10^9 bytes, and take seconds.
  const bytes = head(`X: ${'x'.repeat(60_000)}`, 'Content-Length: 0')
  const { user } = process.cpuUsage()
  assert.equal(parse(bytes, { splits: Array.from(bytes, (_, at) => at) }).outcome, 'whole')
  assert.ok(process.cpuUsage().user - user < 2_000_000)
})
