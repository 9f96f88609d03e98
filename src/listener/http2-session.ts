// How long an HTTP/2 session is kept: closed when it is idle, destroyed where nothing is left on it but a head that never ends.
import type { ServerHttp2Session } from 'node:http2'
import type { Socket } from 'node:net'
import type { ListenerConfig } from '../config/schema.ts'
import { connectionUnder } from './unread.ts'

const openAnswers = Symbol('openAnswers')
type Counted = ServerHttp2Session & { [openAnswers]?: number }

/** An answer is due on it, or (-1) is over. */
export function countAnswer (session: ServerHttp2Session, change: 1 | -1): void {
  const counted = session as Counted
  counted[openAnswers] = (counted[openAnswers] ?? 0) + change
}

/** Limits are asked for when they are needed: they may have changed. */
export function watchSession (session: ServerHttp2Session, limits: () => ListenerConfig['limits']): void {
  const connection = connectionUnder(session.socket as Socket)
  session.setTimeout(limits().keepAliveTimeoutMs, () => {
    if (session.closed) return
    session.close()
    // What was asked is answered. A head whose CONTINUATION never comes is no stream yet, and Node would wait for it for good; and where
    // nothing is read, for its last bytes to be taken.
    const look = setInterval(() => {
      if (((session as Counted)[openAnswers] ?? 0) > 0) return
      if (session.destroyed) connection?.destroy()
      else session.destroy()
    }, limits().headersTimeoutMs)
    session.once('close', () => clearInterval(look))
  })
}
