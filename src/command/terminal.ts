// What a subcommand writes to, and how it ends: passed in, so that tests need no process.

export interface Terminal {
  out (text: string): void
  err (text: string): void
  /** Width of the screen; undefined where output is no screen. */
  readonly columns: number | undefined
  readonly colours: boolean
  /** Ends the process at once. Only for what must not wait. */
  exit (code: number): void
}

/** Documented in --help and README.md. */
export const exitCodes = { ok: 0, failed: 1, usage: 2, config: 3 } as const

/** The command line makes no sense: exit code 2. `message` says what to write instead. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** Something expected went wrong while running: exit code 1, one line, no stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** Text from catalogs and files may carry escape sequences: a terminal must not obey them. */
export function printable (text: string): string {
  // eslint-disable-next-line no-control-regex -- exactly those are replaced
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\uFFFD')
}
