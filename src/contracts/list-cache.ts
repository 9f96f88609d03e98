// Parses a list of operations once for all endpoints that send the same bytes: the instances of a service share one object.
import { createHash } from 'node:crypto'
import { parseOperations, type OperationList } from './operations.ts'

/** A parser that remembers the last `most` different lists. */
export function createListCache (most: number): (body: string) => OperationList | undefined {
  const lists = new Map<string, OperationList>()
  return body => {
    const digest = createHash('sha256').update(body).digest('base64')
    const known = lists.get(digest)
    if (known !== undefined) {
      // Youngest last, so that the oldest is the first to go.
      lists.delete(digest)
      lists.set(digest, known)
      return known
    }
    const list = parseOperations(body)
    if (list === undefined) return undefined
    lists.set(digest, list)
    const oldest = lists.size > most ? lists.keys().next().value : undefined
    if (oldest !== undefined) lists.delete(oldest)
    return list
  }
}
