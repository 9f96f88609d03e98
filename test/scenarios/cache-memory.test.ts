// What stored answers really take is no more than the cache counts: its bound holds for memory, and not only for its own sum.
import { describe, test } from 'node:test'
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'

const child = fileURLToPath(new URL('cache-memory-child.ts', import.meta.url))
/** What the process has beside them at the one time and not at the other. */
const ownBytes = 500_000

describe('memory of stored answers', { timeout: 240_000 }, () => {
  for (const kind of ['small', 'laden', 'large']) {
    test(`${kind} ones take no more than is counted`, async t => {
      const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', child, kind], { signal: t.signal })
      const { liveBytes, countedBytes, entries, asked } = JSON.parse(stdout) as Record<'liveBytes' | 'countedBytes' | 'entries' | 'asked', number>
      assert.equal(entries, asked)
      assert.ok(liveBytes <= countedBytes + ownBytes, `${entries} answers: ${Math.round(liveBytes / entries)} bytes each, counted as ${Math.round(countedBytes / entries)}`)
    })
  }
})
