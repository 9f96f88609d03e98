// Which bytes may stand where in an HTTP/1.1 message (RFC 9110 section 5.5 and 5.6.2). Tables, because they are asked once a byte.

function table (allowed: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, code) => allowed(code) ? 1 : 0)
}

const tokenShape = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]$/

/** 1 where a byte may stand in a field name or a method. */
export const tokenBytes = table(code => tokenShape.test(String.fromCharCode(code)))

/** 1 where a byte may stand in a field value: no control character but the tab. */
export const valueBytes = table(code => code === 0x09 || (code >= 0x20 && code !== 0x7f))

/** 1 where a byte may stand in a request target: nothing that could end it. */
const targetBytes = table(code => code > 0x20 && code !== 0x7f)

function consistsOf (bytes: Uint8Array, text: string): boolean {
  // A character beyond latin1 is none of the table's, and its low byte could be a line feed.
  for (let i = 0; i < text.length; i++) if (bytes[text.charCodeAt(i)] !== 1) return false
  return true
}

export const isToken = (text: string): boolean => text.length > 0 && consistsOf(tokenBytes, text)
export const isFieldValue = (text: string): boolean => consistsOf(valueBytes, text)
export const isTarget = (text: string): boolean => text.length > 0 && consistsOf(targetBytes, text)
