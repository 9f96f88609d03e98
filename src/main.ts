// The process: streams and exit. Everything else is in command/.
import { stripVTControlCharacters } from 'node:util'
import { runCommand } from './command/cli.ts'
import { exitCodes, type Terminal } from './command/terminal.ts'

// Whoever reads our output may go away (a pager, a closed pipe): no reason for a gateway to stop.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

const colours = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '' && process.env['TERM'] !== 'dumb'
const terminal: Terminal = {
  out: text => { process.stdout.write(colours ? text : stripVTControlCharacters(text)) },
  err: text => { process.stderr.write(text) },
  columns: process.stdout.isTTY ? process.stdout.columns : undefined,
  colours,
  exit: code => process.exit(code)
}

try {
  const code = await runCommand(process.argv.slice(2), terminal)
  // Output to a pipe is written asynchronously: exiting before would cut it.
  await Promise.all([process.stdout, process.stderr].map(stream => new Promise<void>(resolve => { stream.write('', () => resolve()) })))
  process.exit(code)
} catch (error) {
  process.stderr.write(`postern: ${error instanceof Error ? error.stack ?? error.message : String(error)}\n`)
  process.exit(exitCodes.failed)
}
