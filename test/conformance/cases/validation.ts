// RFC 9111 section 4.3 (validation), RFC 9110 section 13 (conditions) and 14 (ranges), stale answers (4.2.4, RFC 5861).
import { answered, fresh, notReused } from '../kinds.ts'
import type { Case, Step } from '../run-case.ts'

const date = 'Wed, 01 Jan 2020 00:00:00 GMT'
const stale = 'Cache-Control: max-age=1'
const ten = '0123456789'
/** A stored answer and a client with a condition. */
const asked = (name: string, stored: readonly string[], request: readonly string[], then: Partial<Step> & Pick<Step, 'from'>): Case => ({ name, steps: [answered(stored, { body: ten }), { headers: request, after: 2, ...then }] })

const unmodified = { from: 'stored', status: 304 } as const
const whole = { from: 'stored' } as const

/** Fields of a 304, before and after; `stays`: the stored one's. */
const updates: Array<[name: string, before: string, after: string, stays?: true]> = [
  ['Test-Header', 'a', 'b'], ['X-Test-Header', 'a', 'b'], ['Content-Foo', 'a', 'b'], ['Content-Location', '/a', '/b'], ['Content-Security-Policy', 'a', 'b'], ['Content-Type', 'text/a', 'text/b'], ['Clear-Site-Data', 'a', 'b'],
  ['X-Frame-Options', 'deny', 'sameorigin'], ['Content-Encoding', 'x-a', 'x-b', true], ['Content-Range', 'bytes 0-1/2', 'bytes 0-2/3', true]
]

export const cases: Case[] = [
  // Asking the origin.
  { name: '4.3.1: If-None-Match of a strong tag', steps: [answered([stale, 'ETag: "a"']), { after: 2, from: 'validated', asks: ['If-None-Match: "a"'] }] },
  { name: '4.3.1: If-None-Match of a weak tag', steps: [answered([stale, 'ETag: W/"a"']), { after: 2, from: 'validated', asks: ['If-None-Match: W/"a"'] }] },
  { name: '4.3.1: If-Modified-Since', steps: [answered([stale, `Last-Modified: ${date}`]), { after: 2, from: 'validated', asks: [`If-Modified-Since: ${date}`] }] },
  { name: '4.3.1: both', steps: [answered([stale, 'ETag: "a"', `Last-Modified: ${date}`]), { after: 2, from: 'validated', asks: ['If-None-Match: "a"', `If-Modified-Since: ${date}`] }] },
  { name: '4.3.1: with the header fields that Vary names', steps: [{ headers: ['Abc: 123'], ...answered([stale, 'ETag: "a"', 'Vary: Abc']) }, { headers: ['Abc: 123'], after: 2, from: 'validated', asks: ['Abc: 123', 'If-None-Match: "a"'] }] },
  { name: '4.3.1: the client\'s own conditions do not go up for a fill', steps: [{ headers: ['If-None-Match: "x"', `If-Modified-Since: ${date}`], ...answered([fresh]), asksNot: ['If-None-Match', 'If-Modified-Since'] }, { from: 'stored' }] },
  { name: '4.3.3: a whole answer takes the place of the stored one', steps: [answered([stale, 'ETag: "a"']), { after: 2, ...answered([fresh, 'ETag: "b"']) }, { from: 'stored', sees: ['ETag: "b"'] }] },
  { name: '4.3.3: a 5xx goes to the client', steps: [answered([stale, 'ETag: "a"']), { after: 2, answer: { status: 503 }, from: 'origin', status: 503 }] },
  { name: '4.3.4: a 304 makes it fresh again', steps: [answered([stale, 'ETag: "a"']), { after: 2, from: 'validated', answer: { status: 304, headers: [fresh, 'ETag: "a"'] } }, { after: 100, from: 'stored', sees: ['Age: 100', fresh] }] },
  { name: '4.3.4: a 304 that says less than the stored answer', steps: [answered([stale, `Last-Modified: ${date}`, 'X-One: 1']), { after: 2, from: 'validated', answer: { status: 304, headers: [`Last-Modified: ${date}`] }, sees: ['X-One: 1'] }] },
  { name: '4.3.4: a 304 about another answer updates nothing', steps: [answered([stale, 'ETag: "a"']), { after: 2, from: 'origin', times: 2, answer: { status: 304, headers: [fresh, 'ETag: "b"'] } }, { from: 'stored', sees: ['ETag: "b"'] }] },
  ...updates.map(([name, before, after, stays]): Case => ({
    name: `3.2: ${name} of a 304 ${stays === true ? 'does not replace' : 'replaces'} the stored one`,
    steps: [
      answered([stale, 'ETag: "a"', `${name}: ${before}`]),
      { after: 2, from: 'validated', answer: { status: 304, headers: [fresh, 'ETag: "a"', `${name}: ${after}`] }, sees: [`${name}: ${stays === true ? before : after}`] },
      { after: 2, from: 'stored', sees: [`${name}: ${stays === true ? before : after}`] }
    ]
  })),
  { name: '3.2: Cache-Control and Expires of a 304 count', steps: [answered(['Cache-Control: max-age=1', 'ETag: "a"']), { after: 2, from: 'validated', answer: { status: 304, headers: ['Cache-Control: max-age=5', 'ETag: "a"'] } }, { after: 4, from: 'stored' }, { after: 2, from: 'validated' }] },
  { name: '3.2: no-store on a 304: not reused after it', steps: [answered([stale, 'ETag: "a"']), { after: 2, from: 'origin', times: 2, answer: { status: 304, headers: ['Cache-Control: no-store', 'ETag: "a"'] } }, { from: 'origin' }] },
  {
    name: '4.3.5: an answer to HEAD that matches',
    steps: [answered([stale, 'ETag: "a"', 'X-One: 1']), { method: 'HEAD', after: 2, answer: { headers: [fresh, 'ETag: "a"', 'X-One: 2'] }, from: 'origin' }, { after: 2, from: 'stored', sees: ['X-One: 2'], bodyIs: '{first}' }]
  },
  {
    name: '4.3.5: an answer to HEAD that does not',
    steps: [answered([fresh, 'ETag: "a"']), { method: 'HEAD', headers: ['Cache-Control: no-cache'], answer: { headers: [fresh, 'ETag: "b"'] }, from: 'origin' }, { from: 'origin' }]
  },
  // A client's conditions.
  asked('4.3.2: a client without a validator never sees a 304', [fresh, 'ETag: "a"', `Last-Modified: ${date}`], [], whole),
  asked('4.3.2: If-None-Match that matches', [fresh, 'ETag: "a"'], ['If-None-Match: "a"'], { ...unmodified, sees: ['ETag: "a"', fresh, 'Age: 2'], misses: ['Content-Type', 'Content-Length'] }),
  asked('4.3.2: If-None-Match that does not', [fresh, 'ETag: "a"'], ['If-None-Match: "b"'], whole),
  asked('4.3.2: the first of several', [fresh, 'ETag: "a"'], ['If-None-Match: "a", "b", "c"'], unmodified),
  asked('4.3.2: the last of several', [fresh, 'ETag: "a"'], ['If-None-Match: "b", "c","a"'], unmodified),
  asked('4.3.2: weak tags', [fresh, 'ETag: W/"a"'], ['If-None-Match: W/"a"'], unmodified),
  asked('4.3.2: a weak one against a strong one', [fresh, 'ETag: "a"'], ['If-None-Match: W/"a"'], unmodified),
  asked('4.3.2: *', [fresh], ['If-None-Match: *'], unmodified),
  asked('4.3.2: If-Modified-Since at the time of Last-Modified', [fresh, `Last-Modified: ${date}`], [`If-Modified-Since: ${date}`], { ...unmodified, sees: [`Last-Modified: ${date}`] }),
  asked('4.3.2: later', [fresh, `Last-Modified: ${date}`], ['If-Modified-Since: {-10}'], unmodified),
  asked('4.3.2: earlier', [fresh, `Last-Modified: ${date}`], ['If-Modified-Since: Tue, 31 Dec 2019 00:00:00 GMT'], whole),
  asked('4.3.2: by RFC 850', [fresh, `Last-Modified: ${date}`], ['If-Modified-Since: Wednesday, 01-Jan-20 00:00:00 GMT'], unmodified),
  asked('4.3.2: without Last-Modified, Date', [fresh], ['If-Modified-Since: {+0}'], unmodified),
  asked('RFC 9110 13.2.2: If-None-Match before If-Modified-Since', [fresh, 'ETag: "a"', `Last-Modified: ${date}`], ['If-None-Match: "b"', `If-Modified-Since: ${date}`], whole),
  asked('4.3.2: If-Match is the origin\'s to judge', [fresh, 'ETag: "a"'], ['If-Match: "b"'], { from: 'origin', answer: { status: 412 }, status: 412, asks: ['If-Match: "b"'] }),
  asked('4.3.2: If-Unmodified-Since is the origin\'s to judge', [fresh, `Last-Modified: ${date}`], [`If-Unmodified-Since: ${date}`], { from: 'origin', asks: [`If-Unmodified-Since: ${date}`] }),
  { name: '4.3.2: after validation, for a client with a condition', steps: [answered([stale, `Last-Modified: ${date}`]), { headers: [`If-Modified-Since: ${date}`], after: 2, from: 'validated', status: 304 }] },
  { name: '4.3.2: after validation, for a client that has another answer', steps: [answered([stale, 'ETag: "a"']), { headers: ['If-None-Match: "b"'], after: 2, from: 'validated', asks: ['If-None-Match: "a"'], sees: ['ETag: "a"'] }] },
  { name: '4.3.2: a fill for a client whose condition it meets', steps: [{ headers: ['If-None-Match: "a"'], answer: { headers: [fresh, 'ETag: "a"'] }, from: 'origin', status: 304 }, { from: 'stored' }] },
  ...[['ETag: "a"', 'If-None-Match: "a"'], [`Last-Modified: ${date}`, `If-Modified-Since: ${date}`]].map(([validator, condition]): Case => ({
    name: `4.3.2: a fill that proves not to be storable, for a client whose condition it meets: ${condition!.split(':')[0]!}`,
    steps: [{ headers: [condition!], answer: { headers: ['Cache-Control: no-store', validator!] }, from: 'origin', sees: [validator!, 'Cache-Control: no-store'] }]
  })),
  { name: '4.3.2: a fill that proves not to be storable, for a client whose condition it does not meet', steps: [{ headers: ['If-None-Match: "b"'], answer: { headers: ['Cache-Control: no-store', 'ETag: "a"'] }, from: 'origin' }] },
  { name: '4.3.2: a fill that fails, for a client with a condition', steps: [{ headers: ['If-None-Match: *'], answer: { status: 404, headers: ['ETag: "a"'] }, from: 'origin', status: 404 }] },
  // Ranges.
  asked('RFC 9110 14.2: first and last byte', [fresh], ['Range: bytes=2-4'], { from: 'stored', status: 206, sees: ['Content-Range: bytes 2-4/10', 'Content-Length: 3'] }),
  asked('RFC 9110 14.2: of what came with a Content-Range of its own', [fresh, 'Content-Range: bytes 0-1/2'], ['Range: bytes=2-4'], { from: 'stored', status: 206, sees: ['Content-Range: bytes 2-4/10'], misses: ['Content-Range: bytes 0-1/2'] }),
  asked('RFC 9110 14.2: from a byte on', [fresh], ['Range: bytes=7-'], { from: 'stored', status: 206, sees: ['Content-Range: bytes 7-9/10'] }),
  asked('RFC 9110 14.2: the last bytes', [fresh], ['Range: bytes=-2'], { from: 'stored', status: 206, sees: ['Content-Range: bytes 8-9/10'] }),
  asked('RFC 9110 15.5.17: beyond the end', [fresh], ['Range: bytes=10-'], { from: 'stored', status: 416, sees: ['Content-Range: bytes */10'] }),
  asked('RFC 9110 14.2: several ranges are the whole', [fresh], ['Range: bytes=0-1,3-4'], whole),
  asked('RFC 9110 13.1.5: If-Range that holds', [fresh, 'ETag: "a"'], ['Range: bytes=0-1', 'If-Range: "a"'], { from: 'stored', status: 206 }),
  asked('RFC 9110 13.1.5: If-Range that does not', [fresh, 'ETag: "a"'], ['Range: bytes=0-1', 'If-Range: "b"'], whole),
  { name: '3.3: a part is not stored', steps: [{ headers: ['Range: bytes=0-1'], answer: { status: 206, headers: [fresh, 'Content-Range: bytes 0-1/10'], body: 'ab' }, from: 'origin', status: 206, asks: ['Range: bytes=0-1'] }, { from: 'origin' }] },
  // Stale.
  notReused('4.2.4: stale is not given out unasked', ['Cache-Control: max-age=1']),
  { name: '4.2.4: not when the origin closes either', steps: [answered([stale, 'ETag: "a"']), { after: 2, answer: 'close', from: 'origin', status: 502 }] },
  ...['must-revalidate', 'proxy-revalidate', 'no-cache'].map((word): Case => ({ name: `4.2.4: ${word}, when the origin closes`, under: 'stale', steps: [answered([`Cache-Control: max-age=1, ${word}`, 'ETag: "a"']), { after: 2, answer: 'close', from: 'origin', status: 502 }] })),
  { name: '4.2.4: s-maxage, when the origin closes', under: 'stale', steps: [answered(['Cache-Control: s-maxage=1', 'ETag: "a"']), { after: 2, answer: 'close', from: 'origin', status: 502 }] },
  { name: 'RFC 5861 4: stale-if-error, the origin closes', steps: [answered(['Cache-Control: max-age=1, stale-if-error=60']), { after: 2, answer: 'close', from: 'origin', bodyIs: '{first}', sees: ['Age: 2'] }] },
  ...[500, 502, 503, 504].map((status): Case => ({ name: `RFC 5861 4: stale-if-error and ${status}`, steps: [answered(['Cache-Control: max-age=1, stale-if-error=60']), { after: 2, answer: { status }, from: 'origin', bodyIs: '{first}' }] })),
  { name: 'RFC 5861 4: an error with a lifetime of its own takes the place of nothing that may stand in', steps: [answered(['Cache-Control: max-age=1, stale-if-error=60']), { after: 2, answer: { status: 503, headers: [fresh] }, from: 'origin', bodyIs: '{first}' }, { after: 2, answer: 'close', from: 'origin', bodyIs: '{first}' }] },
  { name: 'RFC 5861 4: not for 404', steps: [answered(['Cache-Control: max-age=1, stale-if-error=60']), { after: 2, answer: { status: 404 }, from: 'origin', status: 404 }] },
  { name: 'RFC 5861 4: no longer than it says', steps: [answered(['Cache-Control: max-age=1, stale-if-error=60']), { after: 62, answer: { status: 503 }, from: 'origin', status: 503 }] },
  {
    name: 'RFC 5861 4: no longer than the operator believes it',
    under: 'stale no longer than ten seconds',
    steps: [
      answered(['Cache-Control: max-age=1, stale-if-error=3600, stale-while-revalidate=3600']),
      { after: 10, answer: { status: 503 }, from: 'stored', refreshes: 1 },
      { after: 2, answer: { status: 503 }, from: 'origin', status: 503 }
    ]
  },
  { name: 'RFC 5861 4: by the client\'s word', steps: [answered([stale, 'ETag: "a"']), { headers: ['Cache-Control: stale-if-error=60'], after: 2, answer: { status: 503 }, from: 'origin', bodyIs: '{first}' }] },
  { name: 'RFC 5861 4: by the operator\'s word', under: 'stale', steps: [answered([stale]), { after: 2, answer: { status: 503 }, from: 'origin', bodyIs: '{first}' }] },
  { name: 'RFC 5861 3: stale-while-revalidate', steps: [answered(['Cache-Control: max-age=1, stale-while-revalidate=60']), { after: 2, from: 'stored', refreshes: 1, answer: { headers: [fresh] } }] },
  { name: 'RFC 5861 3: no longer than it says', steps: [answered(['Cache-Control: max-age=1, stale-while-revalidate=60']), { after: 62, from: 'origin' }] }
]
