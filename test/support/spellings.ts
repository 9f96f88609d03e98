// Ways to spell a call of a message: the recorded ones and many more. For proving that a hidden message is reached by none.
import { recordedPaths } from './recordings.ts'

const escapeAll = (text: string, hex: (code: number) => string = code => code.toString(16)) => Array.from(text, letter => `%${hex(letter.charCodeAt(0)).padStart(2, '0')}`).join('')
const mixCase = (text: string) => Array.from(text, (letter, index) => index % 2 === 0 ? letter.toLowerCase() : letter.toUpperCase()).join('')

/** Spellings of the name alone. */
function names (name: string): string[] {
  const first = name[0]!
  const escaped = escapeAll(first)
  return [
    name, name.toLowerCase(), name.toUpperCase(), mixCase(name),
    escaped + name.slice(1), escapeAll(name), escapeAll(name, code => code.toString(16).toUpperCase()),
    `%25${escaped.slice(1)}${name.slice(1)}`, `${name}%00`, `%00${name}`, `${name}%20`, `%20${name}`, `${name}+`, `${name}%09`, `${name}%0a`, `${name}%0d%0a`,
    `${name};`, `${name};a=b`, `${name};jsessionid=1`, `${name}.json`, `${name}.xml`, `${name}.`, `${name}.html`, `${name}%2ejson`, `${name}.json.xml`,
    `${name}/`, `${name}//`, `${name}/.`, `${name}/..`, `${name}/%2e`, `${name}/extra`, `${name}/extra/more`, `${name}%2f`, `${name}%2Fextra`, `${name}%5c`, `${name}\\`,
    `${name}[]`, `${name}%5B%5D`, `${name}%5b%5d`, `${name}[`, `${name}[]x`, `${name}[][]`, `${name}[0]`, `${name}[]/`, `${name}%5Bx`,
    `${name}?`, `${name}%3f`, `${name}%3Fa=1`, `${name}%23`, `${name}#x`, `${name}%2`, `${name}%`, `${name}%zz`, `${name}%u0041`, `${name}%c0%af`, `${name}%ff`,
    `${name}&a=b`, `${name},`, `${name}:`, `${name}~1`, `"${name}"`, `${name}'`, `(${name})`, `*${name}`, `${name}*`,
    `\u200b${name}`.replace('\u200b', '%e2%80%8b'), `Outer.${name}`, `Shop.Catalog.${name}`, `${name}Request`, `ns:${name}`, `${name}%ef%bc%8e`,
    name.replaceAll('i', '%c4%b1'), name.replaceAll('s', '%c5%bf'), name.replaceAll('k', '%e2%84%aa')
  ]
}

/** Request targets. `known` is a message that may be called; `prefix` is a prefix route to the same upstream, `rewritten` one that is rewritten to /. */
export function spellings (name: string, known = 'GetProduct', prefixes: readonly string[] = ['/direct', '/rewritten']): string[] {
  const forms = ['/json/reply/', '/json/oneway/', '/xml/reply/', '/jsv/reply/', '/csv/reply/', '/html/reply/', '/jsonl/reply/', '/yaml/reply/', '/direct/reply/', '/rewritten/x/oneway/', '/JSON/REPLY/', '/Json/Reply/', '//json/reply/', '///json/reply/', '/api/', '/API/', '//api/', '/%6Ason/reply/', '/json/%72eply/', '/json/rep%6cy/', '/%61pi/', '/a%70i/']
  const targets = new Set<string>()
  for (const form of forms) for (const spelled of names(name)) targets.add(form + spelled)
  for (const { target } of recordedPaths('10.1.5')) targets.add(target.replaceAll('SlowReport', name).replaceAll('%53low%52eport', escapeAll(name)))
  const dots = ['..', '%2e%2e', '%2E%2E', '.%2e', '%2e.', '%252e%252e', '..;', '..;x=1', '%2e%2e;', '..%00', '..%20', '.%2e;']
  const slashes = ['/', '%2f', '%2F', '%5c', '\\', '%252f', '//', '/./', '%2f%2f']
  for (const dot of dots) {
    for (const slash of slashes) {
      targets.add(`/json/reply/${known}${slash}${dot}${slash}${name}`)
      targets.add(`/json/reply/${known}/${dot}${slash}${name}`)
      targets.add(`/x${slash}${dot}/json/reply/${name}`)
      targets.add(`/json/x/${dot}${slash}reply${slash}${name}`)
      targets.add(`/api/${known}${slash}${dot}${slash}${name}`)
      for (const prefix of prefixes) {
        targets.add(`${prefix}${slash}${dot}${slash}json/reply/${name}`)
        targets.add(`${prefix}/${dot}/json${slash}reply${slash}${name}`)
      }
    }
  }
  for (const slash of slashes.filter(slash => slash !== '/')) {
    targets.add(`/json${slash}reply${slash}${name}`)
    targets.add(`/json/reply${slash}${name}`)
    targets.add(`${slash}json/reply/${name}`.replace(/^(?!\/)/, '/'))
    targets.add(`/api${slash}${name}`)
  }
  for (const dot of ['.', '%2e']) {
    targets.add(`/json/reply/${dot}/${name}`)
    targets.add(`/json/${dot}/reply/${name}`)
    targets.add(`/${dot}/json/reply/${name}`)
    targets.add(`/api/${dot}/${name}`)
  }
  targets.add(`/api/x/${name}`)
  targets.add(`/api/x/y/${name}`)
  targets.add(`/api/${known}/${name}`)
  targets.add(`/api/${known}.json/${name}`)
  for (const prefix of prefixes) {
    for (const form of ['/json/reply/', '/JSON/oneway/', '/xml/reply/', '/api/', '//json/reply/', '/%6Ason/reply/', '/json%2freply%2f', '/api/x/', '/./json/reply/']) {
      for (const spelled of [name, mixCase(name), escapeAll(name), `${name}/`, `${name}[]`, `${name}[]x`, `${name}/extra`, `${name}.json`, `x/../${name}`, `${name}%00`]) targets.add(`${prefix}${form}${spelled}`)
    }
    targets.add(`${prefix}%2fjson/reply/${name}`)
    targets.add(`${prefix}/x/..;/json/reply/${name}`)
  }
  for (const authority of ['catalog.test', '127.0.0.1:1', 'catalog.test:80']) {
    targets.add(`http://${authority}/json/reply/${name}`)
    targets.add(`HTTP://${authority}/json/reply/${known}/../${name}`)
  }
  targets.add(`/json/reply/${known}?x=/../${name}`)
  targets.add(`/json/reply/${known}?X-HTTP-Method-Override=POST&/json/reply/${name}`)
  // What no client can put on a request line is no spelling: spaces and controls.
  return Array.from(targets).filter(target => Array.from(target).every(letter => letter > ' '))
}
