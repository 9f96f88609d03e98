// Parts of a stored body (RFC 9110 section 14). Pure.

/** First and last byte, both included, of so many. */
export interface ByteRange {
  readonly first: number
  readonly last: number
  readonly length: number
}

const single = /^bytes=(?:(\d{1,15})-(\d{0,15})|-(\d{1,15}))$/i

/**
 * One range of bytes. undefined: it is passed over and the whole is the answer, which RFC 9110 section 14.2 always allows: other units,
 * several ranges (a way to make an answer many times its size), what cannot be read.
 */
export function rangeOf (value: string, length: number): ByteRange | 'unsatisfiable' | undefined {
  const found = single.exec(value.trim())
  if (found === null) return undefined
  if (found[3] !== undefined) {
    const suffix = Math.min(Number(found[3]), length)
    return suffix === 0 ? 'unsatisfiable' : { first: length - suffix, last: length - 1, length }
  }
  const first = Number(found[1])
  const last = found[2] === '' ? length - 1 : Math.min(Number(found[2]), length - 1)
  if (found[2] !== '' && Number(found[2]) < first) return undefined
  return first >= length ? 'unsatisfiable' : { first, last, length }
}

export const contentRange = ({ first, last, length }: ByteRange): string => `bytes ${first}-${last}/${length}`
export const unsatisfiedRange = (length: number): string => `bytes */${length}`
