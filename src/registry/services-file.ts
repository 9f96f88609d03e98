// A services.yaml -> fixed registrations, or everything that is wrong with it. Pure.
import { parseConfigDocument } from '../config/document.ts'
import { codeFrame, ConfigError, toPath } from '../config/problem.ts'
import type { Problem } from '../config/problem.ts'
import { parseBaseUrl } from './address.ts'
import { readNames } from './names.ts'
import type { Registration } from './registration.ts'

const keys = ['service', 'url', 'messages', 'version', 'weight', 'tags', 'meta', 'servicestack'] as const
const mostEntries = 50_000
/** What a first guess calls a key. */
const guesses: Readonly<Record<string, typeof keys[number]>> = { name: 'service', id: 'service', upstream: 'service', address: 'url', endpoint: 'url', endpoints: 'url', host: 'url', port: 'url', message: 'messages', operations: 'messages', tag: 'tags', weights: 'weight' }

type Say = (segments: readonly string[], what: 'key' | 'value', message: string, hint?: string) => void

/**
 * Reads a list of `{ service, url, messages?, version?, weight?, tags?, meta?, servicestack? }`. All or nothing: one mistake and the whole file does
 * not count, so that a slip of the hand takes no service away.
 * @throws ConfigError whose message names every mistake with file, line and column
 */
export function readServicesFile (text: string, source: string): Registration[] {
  const document = parseConfigDocument(text)
  const lines = text.split('\n')
  const problems: Problem[] = document.faults.map(({ place, message, hint }) => ({ source, place, path: '', message, hint, frame: codeFrame(lines, place) }))
  const say: Say = (segments, what, message, hint) => {
    const place = document.placeOf(segments, what)
    problems.push({ source, place, path: toPath(segments, (depth) => depth === 0 && Array.isArray(document.value)), message, hint, frame: codeFrame(lines, place) })
  }
  const registrations: Registration[] = []
  if (problems.length === 0) {
    const list = document.value
    // An editor that has just begun to write leaves an empty file for a moment: that must not take every service away.
    if (list === null || list === undefined) say([], 'value', 'is empty', 'Write [] for no services.')
    else if (!Array.isArray(list) && typeof list === 'object' && Object.keys(list).length === 1) say(Object.keys(list), 'key', 'is one level too many: the file is the list itself', `Take the line "${Object.keys(list)[0]}:" away, so that the file begins with "- service: NAME".`)
    else if (!Array.isArray(list)) say([], 'value', 'must be a list of services', 'Begin each one with "- service: NAME".')
    else if (list.length > mostEntries) say([], 'value', `must not have more than ${mostEntries} entries`)
    else {
      const seen = new Set<string>()
      for (const [position, entry] of list.entries()) {
        const registration = readOne(entry, position, say)
        if (registration === undefined) continue
        if (seen.has(registration.id)) say([String(position)], 'value', `${registration.service} at ${registration.address!.url} stands here twice`)
        seen.add(registration.id)
        registrations.push(registration)
      }
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  return registrations
}

function readOne (entry: unknown, position: number, sayAt: Say): Registration | undefined {
  const at = String(position)
  let sound = true
  const say = (key: string | undefined, what: 'key' | 'value', message: string, hint?: string): void => {
    sound = false
    sayAt(key === undefined ? [at] : [at, key], what, message, hint)
  }
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    say(undefined, 'value', 'must be a service with its settings', 'For example: { service: orders, url: http://10.0.0.5:8080 }')
    return undefined
  }
  const fields = entry as Record<string, unknown>
  for (const key of Object.keys(fields)) {
    if (!(keys as readonly string[]).includes(key)) say(key, 'key', 'is not a known setting', `${Object.hasOwn(guesses, key) ? `It is written ${guesses[key]}. ` : ''}Known here: ${keys.join(', ')}.`)
  }
  const texts = (key: 'messages' | 'tags'): string[] => {
    const value = fields[key] ?? []
    if (Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')) return value as string[]
    say(key, 'value', 'must be a list of names', 'For example [PlaceOrder, CancelOrder].')
    return []
  }
  const { service, url, weight = 1, servicestack = false, meta = {} } = fields
  // YAML reads 1.10 as a number and loses the zero.
  const version = fields['version']
  if (typeof service !== 'string' || service === '') say('service', 'value', 'must be the name of the service')
  if (version !== undefined && typeof version !== 'string') say('version', 'value', 'must be text', 'Put it in quotes: version: "1.10"')
  if (!Number.isInteger(weight) || (weight as number) < 0 || (weight as number) > 65_535) say('weight', 'value', 'must be a whole number from 0 to 65535')
  if (typeof servicestack !== 'boolean') say('servicestack', 'value', 'must be true or false')
  if (typeof meta !== 'object' || meta === null || Array.isArray(meta) || !Object.values(meta).every((item) => typeof item === 'string')) {
    say('meta', 'value', 'must be a section of texts', 'Put numbers in quotes.')
  }
  const parsed = typeof url === 'string' ? parseBaseUrl(url) : undefined
  if (parsed === undefined) say('url', 'value', 'must be a base URL', 'For example http://10.0.0.5:8080')
  else if ('refused' in parsed) say('url', 'value', parsed.refused.replace(/^its address/, 'this'))
  const messages = texts('messages')
  const tags = texts('tags')
  const { names } = readNames('plugin', messages, {}, { messageMetaKey: '', ignoreTags: [] })
  if (names.length !== new Set(messages.map((name) => name.toLowerCase())).size) say('messages', 'value', 'has names that no message can have')
  if (!sound || parsed === undefined || !('address' in parsed)) return undefined
  return {
    id: `${service as string}@${parsed.address.url}`,
    registry: 'file',
    registeredAs: service as string,
    service: service as string,
    kind: servicestack === true ? 'plugin' : 'plain',
    address: parsed.address,
    refused: undefined,
    names,
    version: version as string | undefined,
    tags,
    meta: meta as Record<string, string>,
    weights: { passing: weight as number, warning: weight as number },
    // Nobody checks it but ourselves.
    health: 'unchecked',
    checkless: true,
    notes: undefined,
    createIndex: position + 1,
    node: '',
    datacenter: undefined,
    // Whoever writes this file speaks of our machine when he writes localhost.
    ownNode: true
  }
}
