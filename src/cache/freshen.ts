// A stored answer made current by what the origin says of it without sending it again: a 304, or the answer to a HEAD (RFC 9111 sections 3.2, 4.3.4, 4.3.5). Pure.
import { entityTag, lastModified } from './conditional.ts'
import type { EntryHead } from './entry.ts'
import { fieldValues } from './field-syntax.ts'

/** Fields by which the stored bytes are read and checked: they stay as those came (RFC 9111 section 3.2). */
const ofTheBody: ReadonlySet<string> = new Set(['content-length', 'content-encoding', 'content-md5', 'content-range', 'transfer-encoding', 'trailer'])

/**
 * The stored head with the fields of a 304: what it names is replaced, all values of it, the rest stays. undefined: the 304 speaks of
 * another answer (RFC 9111 section 4.3.4), so the stored one must be asked for anew without conditions.
 */
export function freshened (stored: EntryHead, update: EntryHead): EntryHead | undefined {
  return selects(update, stored) ? { ...merged(stored, update), requestAtMs: update.requestAtMs, responseAtMs: update.responseAtMs } : undefined
}

/**
 * A strong validator must be the stored one's exactly; a weak one must match weakly; with none, it speaks of the one that was asked about:
 * only one is asked about at a time, and hosts leave validators out of a 304.
 */
function selects (update: EntryHead, stored: EntryHead): boolean {
  const tag = entityTag(update)
  if (tag !== undefined) {
    const own = entityTag(stored)
    return tag.startsWith('W/') ? own !== undefined && weakly(own) === weakly(tag) : own === tag
  }
  const changed = lastModified(update)
  return changed === undefined || changed === lastModified(stored)
}
const weakly = (tag: string): string => tag.startsWith('W/') ? tag.slice(2) : tag

function merged (stored: EntryHead, update: EntryHead): EntryHead {
  const replaced = new Set<string>()
  const added: string[] = []
  for (let i = 0; i < update.headers.length; i += 2) {
    const name = update.headers[i]!.toLowerCase()
    if (ofTheBody.has(name)) continue
    replaced.add(name)
    added.push(update.headers[i]!, update.headers[i + 1]!)
  }
  const headers: string[] = []
  for (let i = 0; i < stored.headers.length; i += 2) {
    const name = stored.headers[i]!.toLowerCase()
    // An Age belongs to the answer it came with.
    if (!replaced.has(name) && name !== 'age') headers.push(stored.headers[i]!, stored.headers[i + 1]!)
  }
  headers.push(...added)
  return { ...stored, headers }
}

/** What an answer to HEAD says of a stored answer to GET: it is still that one, and its head is current; or it has changed; or nothing. */
export function afterHead (stored: EntryHead, head: EntryHead): EntryHead | 'changed' | 'nothing' {
  if (head.status !== 200 || stored.status !== 200) return 'nothing'
  for (const name of ['content-length', 'etag', 'last-modified']) {
    const now = fieldValues(head.headers, name)[0]
    const before = fieldValues(stored.headers, name)[0]
    if (now !== undefined && now !== before) return 'changed'
  }
  return { ...merged(stored, head), requestAtMs: head.requestAtMs, responseAtMs: head.responseAtMs }
}
