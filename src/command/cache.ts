// postern cache: shows what the running gateway has stored, purges it, and puts answers into it.
import { adminBase, askGateway } from './ask-admin.ts'
import type { Arguments } from './arguments.ts'
import { putOrder } from './cache-put.ts'
import type { Help } from './help.ts'
import { exitCodes, printable, UsageError, type Terminal } from './terminal.ts'

export const cacheHelp: Help = {
  summary: 'Shows what is stored, purges it, or puts an answer there.',
  usage: `postern cache show [--url URL | --message NAME | --service NAME] [--copies]
       postern cache purge --url URL | --tag TAG | --message NAME | --service NAME | --all [--soft]
       postern cache put URL --file FILE [--status N] [--header "Name: value"]... [--request-header "Name: value"]...`,
  text: `purge says how many answers went, of those that this gateway has in memory; what others have, and what they share, goes too.
With --soft they stay and count as stale from now on: they are given out only while they are refreshed, or when the service cannot
answer, as far as that is allowed for them. Outage copies go with what is removed, and are fetched anew.
put stores a file as if a GET of the URL had brought it: a lifetime in --header "Cache-Control: max-age=60" (or of the message's own) is
needed, and what a GET could not have stored is refused with the reason. The URL is the clients' own, host included.`,
  flags: {
    admin: { short: 'a', value: 'HOST:PORT', help: 'Admin address of the running gateway. Default: 127.0.0.1:9901.' },
    url: { value: 'URL', help: 'What is stored for this URL, or path with query, whatever its host and variant.' },
    tag: { value: 'TAG', help: 'What the service tagged so (Cache-Tag, Surrogate-Key).' },
    message: { value: 'NAME', help: 'Everything of a message.' },
    service: { value: 'NAME', help: 'Everything of a service.' },
    all: { help: 'Everything.' },
    soft: { help: 'Makes it stale instead of removing it.' },
    copies: { help: 'Shows the outage copies: their age, and why the last fetch failed.' },
    file: { value: 'FILE', help: 'Body of the answer to put.' },
    status: { value: 'N', help: 'Its status. Default: 200.' },
    header: { value: 'LINE', multiple: true, help: 'A header of it, as "Name: value".' },
    'request-header': { value: 'LINE', multiple: true, help: 'A header of the request it answers, where Vary names it.' },
    json: { help: 'Prints the answer of the gateway as it is.' }
  },
  examples: [
    ['postern cache show', 'how each message does'],
    ['postern cache show --message GetOrder', 'its stored answers'],
    ['postern cache show --copies', 'what there is for an outage'],
    ['postern cache put "https://api.example.com/json/reply/GetOrder?Id=5" --file order.json --header "Content-Type: application/json" --header "Cache-Control: max-age=3600"', ''],
    ['postern cache purge --url "/json/reply/GetOrder?Id=5"', ''],
    ['postern cache purge --service Orders --soft', 'the next requests ask anew; when that fails, what was stored is still there']
  ]
}

export async function cache (args: Arguments, terminal: Terminal): Promise<number> {
  const [what, more] = args.positionals
  if (what !== 'show' && what !== 'purge' && what !== 'put') throw new UsageError('postern cache show, purge or put?')
  if (what !== 'put' && more !== undefined) throw new UsageError(`too much: ${more}`)
  const base = adminBase(args)
  const named = { url: args.one('url'), tag: args.one('tag'), message: args.one('message'), service: args.one('service') }
  switch (what) {
    case 'show': return await (args.has('copies') ? showCopies : show)(base, named, args.has('json'), terminal)
    case 'purge': return await purge(base, named, args, terminal)
    case 'put': return await put(base, args, terminal)
  }
}

type Named = Readonly<Record<'url' | 'tag' | 'message' | 'service', string | undefined>>

async function purge (base: string, named: Named, args: Arguments, terminal: Terminal): Promise<number> {
  const given = Object.values(named).filter(value => value !== undefined).length + (args.has('all') ? 1 : 0)
  if (given !== 1) throw new UsageError('what is to go? One of --url, --tag, --message, --service and --all.')
  const text = await askGateway(base, '/api/cache/purge', { method: 'POST', body: { ...named, all: args.has('all'), soft: args.has('soft') } })
  const { purged, copies, told } = JSON.parse(text) as { purged: number, copies: number, told?: number }
  const further = copies === 0 ? '' : `, and ${copies} outage ${copies === 1 ? 'copy' : 'copies'}`
  const [here, others] = told === undefined ? ['', ''] : [' here', `; ${told} other ${told === 1 ? 'gateway was' : 'gateways were'} told`]
  terminal.out(args.has('json') ? text : `${purged} stored ${purged === 1 ? 'answer' : 'answers'} ${args.has('soft') ? 'made stale' : 'removed'}${here}${further}${others}.\n`)
  return exitCodes.ok
}

async function put (base: string, args: Arguments, terminal: Terminal): Promise<number> {
  const text = await askGateway(base, '/api/cache/entries', { method: 'PUT', body: await putOrder(args) })
  const { url, message, service, ttlS } = JSON.parse(text) as { url: string, message: string, service: string, ttlS: number }
  terminal.out(args.has('json') ? text : printable(`Stored for ${ttlS} s: ${url} (${message} of ${service})`) + '\n')
  return exitCodes.ok
}

interface CopyRow { readonly message: string, readonly url: string, readonly ageS: number | null, readonly bytes: number, readonly lastFailure: { readonly at: string, readonly reason: string } | null }

async function showCopies (base: string, { message, service }: Named, json: boolean, terminal: Terminal): Promise<number> {
  const text = await askGateway(base, `/api/cache/copies${queryOf({ message, service })}`)
  if (json) {
    terminal.out(text)
    return exitCodes.ok
  }
  const { held, missing, onDisk, copies } = JSON.parse(text) as { held: number, missing: number, onDisk: boolean, copies: CopyRow[] }
  terminal.out(`${held} outage copies, ${missing} missing${onDisk ? '' : '; what is on disk is not up to date'}\n`)
  terminal.out(table([['message', 'age s', 'bytes', 'last failure', 'url'], ...copies.map(({ message, ageS, bytes, lastFailure, url }) => [message, ageS ?? '-', bytes, lastFailure === null ? '-' : `${lastFailure.at} ${lastFailure.reason}`, url])]))
  return exitCodes.ok
}

function queryOf (parameters: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined).map(([name, value]) => `${name}=${encodeURIComponent(value!)}`).join('&')
  return given === '' ? '' : `?${given}`
}

interface MessageRow { readonly service: string, readonly message: string, readonly keys: number, readonly bytes: number, readonly hit: number, readonly stale: number, readonly collapsed: number, readonly miss: number, readonly pass: number }
interface EntryRow { readonly message: string, readonly url: string, readonly status: number, readonly ageS: number, readonly ttlS: number, readonly bytes: number, readonly hits: number }

async function show (base: string, { url, message, service }: Named, json: boolean, terminal: Terminal): Promise<number> {
  const wanted = queryOf({ url, message, service })
  const text = await askGateway(base, wanted === '' ? '/api/cache' : `/api/cache/entries${wanted}`)
  if (json) terminal.out(text)
  else if (wanted === '') {
    const { bytes, maxBytes, entries, messages } = JSON.parse(text) as { bytes: number, maxBytes: number, entries: number, messages: MessageRow[] }
    terminal.out(`${entries} stored answers, ${bytes} of ${maxBytes} bytes\n`)
    const rows = messages.map(row => [row.service, row.message, row.keys, row.bytes, row.hit, row.stale, row.collapsed, row.miss, row.pass])
    terminal.out(table([['service', 'message', 'keys', 'bytes', 'hit', 'stale', 'collapsed', 'miss', 'pass'], ...rows]))
  } else {
    const { entries } = JSON.parse(text) as { entries: EntryRow[] }
    terminal.out(table([['message', 'status', 'age s', 'ttl s', 'bytes', 'hits', 'url'], ...entries.map(row => [row.message, row.status, row.ageS, row.ttlS, row.bytes, row.hits, row.url])]))
  }
  return exitCodes.ok
}

function table (rows: ReadonlyArray<ReadonlyArray<string | number>>): string {
  const texts = rows.map(row => row.map(cell => printable(String(cell))))
  const widths = texts[0]!.map((_, column) => Math.max(...texts.map(row => row[column]!.length)))
  return texts.map(row => `${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()}\n`).join('')
}
