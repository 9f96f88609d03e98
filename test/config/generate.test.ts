// The reference page says what may be left out, as the checker and the editors' schema have it.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { configPage, configSchema } from '../../config/generate-config.ts'

interface Node {
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Node>>
  readonly patternProperties?: Readonly<Record<string, Node>>
  readonly items?: Node
}

/** `section: key` of every key that editors ask for. */
function required (node: Node, path: string): string[] {
  const { properties = {}, patternProperties = {}, items } = node
  return [
    ...(node.required ?? []).map(name => `${path}: ${name}`),
    ...Object.entries(properties).flatMap(([name, child]) => required(child, path === '' ? name : `${path}.${name}`)),
    ...Object.values(patternProperties).flatMap(child => required(child, `${path}.<name>`)),
    ...items === undefined ? [] : required(items, `${path}[]`)
  ]
}

test('what CONFIG.md calls needed is what editors ask for, and nothing else', () => {
  const needed: string[] = []
  let section = ''
  for (const line of configPage().split('\n')) {
    const title = /^## (.*)/.exec(line)?.[1]
    if (title !== undefined) section = title === 'Top level' ? '' : title
    const row = /^\| \[?`(\w+)`[^|]*\|[^|]*\| needed \|/.exec(line)
    if (row !== null) needed.push(`${section}: ${row[1]!}`)
  }
  assert.ok(needed.length > 10, needed.join())
  assert.deepEqual(needed.sort(), required(JSON.parse(configSchema()) as Node, '').sort())
})
