// What may stand where in an HTTP/1.1 message (RFC 9110 section 5.5 and 5.6.2).

// Of bytes, by tables: asked once a byte.

function table (allowed: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => allowed(code) ? 1 : 0)
}

const tokenShape = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/

/** 1 where a byte may stand in a field name or a method. */
export const tokenBytes = table(code => tokenShape.test(String.fromCharCode(code)))

/** 1 where a byte may stand in a field value: no control character but the tab. */
export const valueBytes = table(code => code === 0x09 || (code >= 0x20 && code !== 0x7f))

// Of text, by regular expressions: it may be put together of pieces, which a look at each character would take apart every time. A character
// beyond latin1 is refused: its low byte could be a line feed.
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/
const fieldValue = /^[\t\x20-\x7e\x80-\xff]*$/
const target = /^[\x21-\x7e\x80-\xff]+$/

export const isToken = (text: string): boolean => token.test(text)
export const isFieldValue = (text: string): boolean => fieldValue.test(text)
/** Nothing that could end it. */
export const isTarget = (text: string): boolean => target.test(text)
