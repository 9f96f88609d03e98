// What the gateway itself wants to know of a response head.

const writable = /^[\t\x20-\x7e\x80-\xff]*$/
const unwritable = /[^\t\x20-\x7e\x80-\xff]/g

/** The reason phrase as it can be written again: Node refuses to send control characters. */
export function readReason (reason: string): string {
  return writable.test(reason) ? reason : reason.replace(unwritable, ' ')
}

/** Whether a ServiceStack host wrote it: it says so in each answer of a message, without a body too, and among its last fields [M]. */
export function isServiceStack (headers: readonly string[]): boolean {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i]!.length === 12 && headers[i + 1]!.startsWith('ServiceStack/') && headers[i]!.toLowerCase() === 'x-powered-by') return true
  }
  return false
}
