// Answers with headers that no well-meaning origin would send, by seed: the same seed makes the same ones.
export type Random = () => number

/** mulberry32: numbers from 0 to 1. */
export function randomFrom (seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
export const pick = <T>(random: Random, from: readonly T[]): T => from[Math.floor(random() * from.length)]!
export const some = <T>(random: Random, from: readonly T[], most: number): T[] => Array.from({ length: Math.floor(random() * (most + 1)) }, () => pick(random, from))

const numbers = ['0', '1', '60', '"60"', '3600', '2147483649', '99999999999999999999', '-1', '1.5', 'x', '', '"6\\0"', ' 60', 'Never']
export const directives = [
  ...['max-age', 's-maxage', 'stale-while-revalidate', 'stale-if-error'].flatMap(name => numbers.map(number => `${name}=${number}`)), 'public', 'no-cache', 'must-revalidate', 'proxy-revalidate', 'immutable', 'must-understand',
  'no-cache="set-cookie"', 'private="x-who"', 'foo="private, no-store"', 'foo="a, max-age=2147483649, b"', 'max-age = 2147483649', 'foo="', 'bar=baz', ',', '"private"', 'max-age'
]
const dates = ['Never', '0', '-1', '', 'Fri, 31 Dec 9999 23:59:59 GMT', 'Fri, 27 Nov 2026 13:00:00 GMT', 'Fri, 27 Nov 2026 12:00:00 GMT', 'Thu, 01 Jan 1970 00:00:00 GMT', 'Friday, 27-Nov-26 13:00:00 GMT', 'tomorrow']
const varied = ['Accept', 'Authorization', 'Cookie', 'X-Foo', 'accept-encoding', '"x"', '']

export const randomCase = (random: Random, text: string): string => text.replaceAll(/[a-z]/gi, letter => random() < 0.5 ? letter.toUpperCase() : letter.toLowerCase())

/** Members of a structured field (RFC 9213), and what is none: the field is not there then. */
const targeted = ['max-age=60', 's-maxage=60', 'max-age=0', 'public', 'no-cache', 'must-revalidate', 'must-understand', 'stale-if-error=60', 'foo="private, no-store"', 'immutable=?0']
const untargeted = ['Max-Age=60', 'max-age=60, "private"', 'public, foo="', 'max-age=60,']

/** With a word more, wherever its origin may be heard: a targeted field puts Cache-Control aside. */
export function marked (lines: readonly string[], mark: string): string[] {
  return [...lines, `Cache-Control: ${mark}`, ...lines.some(line => line.startsWith('CDN-')) ? [`CDN-Cache-Control: ${mark.toLowerCase()}`] : []]
}

const commas = [', ', ',', ' , ', ',,']
/** What origins write in their place, too. */
const separators = [...commas, ';', '; ', ' ', '\t', '|', '/', '\u00a0', ' ;, ']

/** Directives as one line. */
export function joined (random: Random, parts: readonly string[]): string {
  const own = random() < 0.75 ? commas : separators
  return parts.map((part, i) => i === 0 ? part : pick(random, own) + part).join('')
}

/** Headers that no well-meaning origin would send. */
export function randomAnswer (random: Random): string[] {
  const lines: string[] = []
  for (let n = Math.floor(random() * 3); n > 0; n--) lines.push(`Cache-Control: ${randomCase(random, joined(random, some(random, directives, 4)))}`)
  if (random() < 0.3) lines.push(`CDN-Cache-Control: ${random() < 0.8 ? some(random, targeted, 3).join(', ') : pick(random, untargeted)}`)
  if (random() < 0.4) lines.push(`Expires: ${pick(random, dates)}`)
  if (random() < 0.3) lines.push(`Last-Modified: ${pick(random, dates)}`)
  if (random() < 0.3) lines.push(`Date: ${pick(random, dates)}`)
  if (random() < 0.3) lines.push(`Age: ${pick(random, numbers)}`)
  if (random() < 0.4) lines.push(`Vary: ${some(random, varied, 3).join(', ')}`)
  if (random() < 0.4) lines.push(`ETag: ${pick(random, ['"a"', 'W/"a"', 'a', '""'])}`)
  if (random() < 0.2) lines.push(`Set-Cookie: ${pick(random, ['mine=1', 'ss-id=ann; HttpOnly', 'theme=dark; Max-Age=0', ''])}`)
  return lines
}

/** Callers that have nothing in common; the first has no identity. */
export const people: ReadonlyArray<readonly string[]> = [[], ['Authorization: Bearer ann'], ['Authorization: Bearer bob'], ['X-Api-Key: k1'], ['Cookie: ss-id=ann'], ['Cookie: ss-id=bob; theme=dark'], ['X-ss-id: ann'], ['Cookie: ss-tok=bob']]
