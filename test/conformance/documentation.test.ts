// docs/CACHE-CONFORMANCE.md names tests that exist, and every MUST and SHOULD in it names one.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cases as directives } from './cases/directives.ts'
import { cases as freshness } from './cases/freshness.ts'
import { cases as storing } from './cases/storing.ts'
import { cases as validation } from './cases/validation.ts'
import { cases as vary } from './cases/vary.ts'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/CACHE-CONFORMANCE.md'), 'utf8')
const cases = [freshness, directives, storing, validation, vary].flat().map(({ name }) => name)
const textsOf = (folder: string, ending: RegExp) => readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).filter(file => ending.test(file)).map(file => readFileSync(join(root, folder, file), 'utf8'))
const tables = [...textsOf('test/cache', /\.test\.ts$/), ...textsOf('test/scenarios', /^(?:cache-|second-level).*\.test\.ts$/)].join('\n').replaceAll('\\\'', '\'')
/** Rows of the tables, without their heads; the last cell has the names. */
const rows = page.split('\n').filter(line => /^\| (?:\d|RFC)/.test(line)).map(line => line.slice(2, -2).split(' | '))

test('every named test exists', () => {
  const unknown = rows.flatMap(cells => [...cells.at(-1)!.matchAll(/`([^`]+)`/g)].map(([, name]) => name!))
    .filter(name => !cases.includes(name) && !tables.includes(`'${name}'`) && !(name.startsWith('understood: ') && tables.includes(`'${name.slice(12)}'`)))
  assert.deepEqual(unknown, [])
})

test('every row names a test', () => {
  assert.ok(rows.length > 70, `${rows.length} rows`)
  assert.deepEqual(rows.filter(cells => !/`[^`]+`/.test(cells.at(-1)!)).map(([clause]) => clause), [])
})

/** What RFC 9111 asks of a shared cache, by clause, as often as it says so; what it asks of senders, origins and registries is left out. */
const asked: Readonly<Record<string, string>> = {
  '1.2.2': 'MUST, MUST',
  3: 'MUST NOT',
  3.1: 'MUST, MUST NOT, MUST NOT',
  3.2: 'MUST, SHOULD',
  3.3: 'MUST NOT, MUST NOT, MUST NOT',
  3.4: 'MUST',
  3.5: 'MUST NOT',
  4: 'MUST NOT, MUST, MUST, MUST, MUST',
  4.1: 'MUST NOT, SHOULD',
  4.2: 'SHOULD, MUST, MUST NOT, SHOULD',
  '4.2.2': 'MUST NOT',
  '4.2.3': 'MUST',
  '4.2.4': 'MUST NOT, MUST NOT',
  '4.3.1': 'MUST, SHOULD',
  '4.3.2': 'SHOULD, MUST NOT, SHOULD, MUST NOT, MUST',
  '4.3.3': 'MUST',
  '4.3.4': 'MUST NOT, MUST',
  '4.3.5': 'SHOULD, SHOULD, SHOULD, MUST',
  4.4: 'MUST, MUST NOT',
  5.1: 'SHOULD, SHOULD',
  5.2: 'MUST',
  '5.2.1.5': 'MUST NOT, MUST NOT, MUST',
  '5.2.1.7': 'SHOULD',
  '5.2.2': 'MUST',
  '5.2.2.2': 'MUST NOT, MUST NOT, MUST, SHOULD',
  '5.2.2.3': 'SHOULD',
  '5.2.2.4': 'MUST NOT',
  '5.2.2.5': 'MUST NOT, MUST NOT, MUST NOT, MUST',
  '5.2.2.6': 'MUST NOT',
  '5.2.2.7': 'MUST NOT, MUST NOT',
  '5.2.2.8': 'MUST NOT',
  '5.2.2.10': 'MUST NOT',
  '5.2.3': 'MUST',
  5.3: 'MUST, MUST, MUST'
}

test('every MUST and SHOULD of the RFC has a row', () => {
  const short: string[] = []
  for (const [clause, levels] of Object.entries(asked)) {
    const left = rows.filter(cells => cells[0] === clause).map(cells => cells[1]!)
    for (const level of levels.split(', ')) {
      const at = left.indexOf(level)
      if (at === -1) short.push(`${clause} ${level}`)
      else left.splice(at, 1)
    }
  }
  assert.deepEqual(short, [])
})

test('no two cases have one name', () => {
  assert.deepEqual(cases.filter((name, at) => cases.indexOf(name) !== at), [])
})
