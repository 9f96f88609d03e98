// postern settle: tells the running gateway which service owns a message that several claim.
import { adminBase, jsonOfGateway } from './ask-admin.ts'
import type { Arguments } from './arguments.ts'
import type { Help } from './help.ts'
import { exitCodes, printable, UsageError, type Terminal } from './terminal.ts'

export const settleHelp: Help = {
  summary: 'Gives a message that several services claim to one of them.',
  usage: 'postern settle MESSAGE UPSTREAM [--note TEXT] [--admin HOST:PORT]',
  text: `The owner's traffic goes to that service at once, or stays there; the others are quarantined, and it is no conflict any more. Kept on disk
(dataDirectory). It is an owner like any other: the name passes on when it has gone. messages.MESSAGE.upstream in postern.yaml counts more.`,
  flags: {
    admin: { short: 'a', value: 'HOST:PORT', help: 'Admin address of the running gateway. Default: 127.0.0.1:9901.' },
    note: { value: 'TEXT', help: 'Why, for whoever looks at postern routes or the log later.' }
  },
  examples: [
    ['postern routes --state quarantined,conflict', 'what is to be settled'],
    ['postern settle PlaceOrder Orders --note "Billing registered it by mistake"', 'Orders has it']
  ]
}

export async function settle (args: Arguments, terminal: Terminal): Promise<number> {
  const [message, upstream] = args.positionals
  if (message === undefined || upstream === undefined) throw new UsageError('which message belongs to which upstream? postern settle MESSAGE UPSTREAM')
  const base = adminBase(args)
  const { from, outlivesRestart } = await jsonOfGateway<{ from?: string, outlivesRestart?: boolean }>(base, '/api/settle', { method: 'POST', body: { message, upstream, note: args.one('note') } })
  terminal.out(`${message} belongs to ${upstream}${from === undefined ? ' already' : ` now; ${printable(from)} had it`}.\n`)
  if (outlivesRestart === false) terminal.out('A restart of the gateway ends this: it has no dataDirectory, or could not write there; its log says so.\n')
  return exitCodes.ok
}
