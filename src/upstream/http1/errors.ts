// What can go wrong on a connection, as the connection says it; translate-error.ts says what we answer.

/** What an endpoint sent is not HTTP/1.1 as we read it. `message` says what was wrong, never with bytes of the endpoint's in it. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
}

export class ConnectTimeout extends Error {
  override readonly name = 'ConnectTimeout'
}

/** The endpoint closed before its answer was whole. */
export class ClosedEarly extends Error {
  override readonly name = 'ClosedEarly'
}

/** The request's body broke, or was not as long as it said. */
export class BrokenBody extends Error {
  override readonly name = 'BrokenBody'
}

/** The request holds what cannot be written without becoming another one. */
export class UnwritableRequest extends Error {
  override readonly name = 'UnwritableRequest'
}
