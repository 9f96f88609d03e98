// postern cache put: what a service would say to PUT /api/cache/entries, from a file.
import { readFile } from 'node:fs/promises'
import type { Arguments } from './arguments.ts'
import { CommandError, UsageError } from './terminal.ts'

/** The order for the admin listener. @throws UsageError; CommandError */
export async function putOrder (args: Arguments): Promise<object> {
  const url = args.positionals[1]
  const file = args.one('file')
  if (url === undefined || file === undefined) throw new UsageError('postern cache put URL --file FILE: both are needed.')
  const status = args.one('status') ?? '200'
  if (!/^[2-5]\d\d$/.test(status)) throw new UsageError(`--status: "${status}" is no number from 200 to 599.`)
  return {
    url,
    status: Number(status),
    headers: toFields('header', args.values.get('header')),
    requestHeaders: toFields('request-header', args.values.get('request-header')),
    bodyBase64: (await bytesOf(file)).toString('base64')
  }
}

/** Lines of one name stay apart. */
function toFields (flag: string, lines: readonly string[] = []): Record<string, string[]> {
  const fields: Record<string, string[]> = {}
  for (const line of lines) {
    const [, name, value] = /^([^:\s]+):\s*(.*)$/s.exec(line) ?? []
    if (name === undefined || value === undefined) throw new UsageError(`--${flag}: "${line}" is not "Name: value".`)
    ;(fields[name] ??= []).push(value)
  }
  return fields
}

async function bytesOf (file: string): Promise<Buffer> {
  try {
    return await readFile(file)
  } catch (error) {
    throw new CommandError(`the file cannot be read: ${(error as Error).message}`)
  }
}
