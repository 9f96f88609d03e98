// Renders the chart without helm: the part of its template language that the chart uses, and an error for everything else.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, stringify } from 'yaml'

type Scope = Record<string, unknown>
interface Block { readonly text: string, readonly children: Block[], readonly kind: 'root' | 'text' | 'action' | 'if' | 'with' | 'define', readonly argument: string }

/** File name → rendered text of every template that is a manifest or the notes. */
export function renderChart (directory: string, values: Scope, release = { Name: 'demo', Namespace: 'default' }): Map<string, string> {
  const chart = parse(readFileSync(join(directory, 'Chart.yaml'), 'utf8')) as { version: string, appVersion: string }
  const scope: Scope = { Values: values, Release: release, Chart: { Version: chart.version, AppVersion: chart.appVersion } }
  const templates = readdirSync(join(directory, 'templates')).map(name => ({ name, root: readBlocks(readFileSync(join(directory, 'templates', name), 'utf8')) }))
  const named = new Map(templates.flatMap(({ root }) => root.children.filter(({ kind }) => kind === 'define').map(block => [block.argument, block] as const)))
  const render = (block: Block, here: unknown): string => block.children.map(child => {
    switch (child.kind) {
      case 'text': return child.text
      case 'action': return toText(evaluate(child.argument, here))
      case 'if': return isTrue(evaluate(child.argument, here)) ? render(child, here) : ''
      case 'with': return isTrue(evaluate(child.argument, here)) ? render(child, evaluate(child.argument, here)) : ''
      default: return ''
    }
  }).join('')
  const evaluate = (expression: string, here: unknown): unknown => expression.split('|').map(part => part.trim()).reduce<unknown>((input, part, index) => {
    const [name, ...args] = part.split(/\s+/) as [string, ...string[]]
    if (index === 0 && name === 'include') return render(named.get(args[0]!.slice(1, -1)) ?? fail(`no template ${args[0]}`), here)
    if (index === 0 && name.startsWith('.')) return look(name, here)
    if (name === 'toYaml') return stringify(input, { lineWidth: 0 }).trimEnd()
    if (name === 'quote') return JSON.stringify(toText(input))
    if (name === 'default') return isTrue(input) ? input : look(args[0]!, here)
    if (name === 'nindent') return '\n' + toText(input).split('\n').map(line => ' '.repeat(Number(args[0])) + line).join('\n')
    return fail(`not understood: ${part}`)
  }, undefined)
  const look = (path: string, here: unknown): unknown => {
    if (path === '.') return here
    // Inside `with`, the dot is something else: the chart uses only `.` there.
    if (here !== scope) fail(`${path} inside with`)
    return path.slice(1).split('.').reduce<unknown>((value, name) => {
      if (typeof value !== 'object' || value === null || !(name in value)) fail(`${path}: no ${name}`)
      return (value as Scope)[name]
    }, scope)
  }
  return new Map(templates.filter(({ name }) => !name.startsWith('_')).map(({ name, root }) => [name, render(root, scope)]))
}

function readBlocks (text: string): Block {
  const root: Block = { kind: 'root', text: '', argument: '', children: [] }
  const stack = [root]
  const pieces = text.replace(/\s*\{\{-/g, '{{').replace(/-\}\}\s*/g, '}}').split(/(\{\{.*?\}\})/)
  for (const piece of pieces) {
    const top = stack.at(-1)!
    if (!piece.startsWith('{{')) {
      top.children.push({ kind: 'text', text: piece, argument: '', children: [] })
      continue
    }
    const action = piece.slice(2, -2).trim()
    const [word, ...rest] = action.split(/\s+/) as [string, ...string[]]
    if (word === 'end') {
      if (stack.length === 1) fail('end without a beginning')
      stack.pop()
      continue
    }
    const opens = word === 'if' || word === 'with' || word === 'define'
    const argument = word === 'define' ? rest[0]!.slice(1, -1) : opens ? rest.join(' ') : action
    const block: Block = { kind: opens ? word : 'action', text: '', argument, children: [] }
    top.children.push(block)
    if (opens) stack.push(block)
  }
  if (stack.length !== 1) fail(`${stack.at(-1)!.kind} without an end`)
  return root
}

const toText = (value: unknown): string => typeof value === 'string' ? value : String(value)
const isTrue = (value: unknown): boolean => typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value)
function fail (why: string): never { throw new Error(`chart: ${why}`) }
