// POST /api/settle: an operator says which service owns a message that several claim.
import type { Settled, SettleWish } from '../control/settle.ts'
import { ActionRefused, type AdminAction } from './actions.ts'

const longestNote = 200
const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

/** @throws ActionRefused */
function toWish (body: unknown): SettleWish {
  const { message, upstream, note } = typeof body === 'object' && body !== null ? body as Record<string, unknown> : {}
  if (!isText(message) || !isText(upstream)) throw new ActionRefused(400, 'SettleIncomplete', 'A message and an upstream are needed: {"message": "PlaceOrder", "upstream": "Orders", "note": "why"}.')
  if (note !== undefined && (typeof note !== 'string' || note.length > longestNote)) throw new ActionRefused(400, 'NoteTooLong', `A note is text of at most ${longestNote} characters.`)
  return { message, upstream, ...(note === undefined || note === '' ? {} : { note }) }
}

/** `settle`: carries it out in the control plane, and settles when the table has it. */
export function settleAction (settle: (wish: SettleWish) => Promise<Settled>): AdminAction {
  return {
    method: 'POST',
    path: '/api/settle',
    says: 'Gives a message that several services claim to one of them: {"message", "upstream", "note"}. On disk before it is answered; postern.yaml counts more.',
    async run ({ body }) {
      const settled = await settle(toWish(body))
      if (settled.kind === 'refused') throw new ActionRefused(settled.status, settled.code, settled.message)
      const { upstream, since, moved, settled: word } = settled.owner
      // Whoever had it already has it from nobody.
      const from = word?.at === since ? moved?.from : undefined
      return { message: settled.key, upstream, since: new Date(since).toISOString(), from, note: word?.note, outlivesRestart: settled.outlivesRestart === true }
    }
  }
}
