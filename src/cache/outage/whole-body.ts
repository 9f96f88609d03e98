// A response body read whole, up to a limit.
import { GatewayError } from '../../exchange/errors.ts'
import type { ResponseBody } from '../../exchange/response-body.ts'

/** undefined: it is longer than `mostBytes`, and was given up. @throws GatewayError when it breaks off */
export function wholeBody (body: ResponseBody, mostBytes: number): Promise<Buffer | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer | undefined>()
  const chunks: Buffer[] = []
  let bytes = 0
  body.pipe({
    write (chunk) {
      bytes += chunk.length
      if (bytes <= mostBytes) {
        chunks.push(chunk)
        return true
      }
      resolve(undefined)
      body.cancel(new GatewayError('ClientClosed'))
      return false
    },
    end: () => resolve(Buffer.concat(chunks)),
    fail: reject
  })
  return promise
}
