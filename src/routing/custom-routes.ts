// RESTful paths of the services' own lists (/products/{Id}): matched by segment, literals before variables. Pure.
import type { CustomRoutePlan } from './plan.ts'

export interface CustomRoute<T> {
  readonly plan: CustomRoutePlan
  readonly value: T
}

interface Node<T> {
  readonly literals: Map<string, Node<T>>
  variable: Node<T> | undefined
  /** {Path*}: takes the rest, and what may stand behind it in the template. */
  rest: Array<CustomRoute<T>>
  routes: Array<CustomRoute<T>>
}

const createNode = <T>(): Node<T> => ({ literals: new Map(), variable: undefined, rest: [], routes: [] })
const segmentsOf = (path: string): string[] => path.toLowerCase().split('/').filter(segment => segment !== '')
/** A place with text around it (`{Name}.txt`) counts as one of any text: what is kept back must not slip through. */
const isVariable = (segment: string): boolean => segment.includes('{')
/** {Path*} or {*Path}: any number of segments. */
const isWildcard = (segment: string): boolean => /\{\*|\*\}/.test(segment)
/** Which extensions are formats is the host's to know, so any is taken for one. */
const extension = /\.[^./]*(?=\/*$)/

/** An immutable set of templates. Literal segments match in any letter case, as on the hosts. */
export class CustomRoutes<T> {
  readonly #root: Node<T>
  readonly size: number

  private constructor (root: Node<T>, size: number) {
    this.#root = root
    this.size = size
  }

  static of<T> (routes: Iterable<CustomRoute<T>>): CustomRoutes<T> {
    const { add, done } = CustomRoutes.building<T>()
    for (const route of routes) add(route)
    return done()
  }

  /** A set to be, whose making may be spread over any time. */
  static building<T> (): { add (route: CustomRoute<T>): void, done (): CustomRoutes<T> } {
    const root = createNode<T>()
    let size = 0
    return {
      add (route) {
        addTo(root, route)
        size++
      },
      done: () => new CustomRoutes(root, size)
    }
  }

  /** All routes whose template matches, the most literal first; then those of the path without its `.{format}`, which hosts take off first. */
  match (decodedPath: string): ReadonlyArray<CustomRoute<T>> {
    if (this.size === 0) return []
    const found: Array<CustomRoute<T>> = []
    collect(this.#root, segmentsOf(decodedPath), 0, found)
    const bare = decodedPath.replace(extension, '')
    if (bare !== decodedPath) collect(this.#root, segmentsOf(bare), 0, found)
    return found
  }
}

function addTo<T> (root: Node<T>, route: CustomRoute<T>): void {
  let node = root
  for (const segment of segmentsOf(route.plan.path)) {
    if (isWildcard(segment)) {
      node.rest.push(route)
      return
    }
    node = isVariable(segment) ? node.variable ??= createNode<T>() : child(node, segment)
  }
  node.routes.push(route)
}

function child<T> (node: Node<T>, segment: string): Node<T> {
  let next = node.literals.get(segment)
  if (next === undefined) {
    next = createNode<T>()
    node.literals.set(segment, next)
  }
  return next
}

function collect<T> (node: Node<T>, segments: readonly string[], depth: number, found: Array<CustomRoute<T>>): void {
  if (depth === segments.length) {
    found.push(...node.routes)
    // Hosts let a wildcard at the end give back what places before it took beyond the end of the path: /files is /files/{Kind}/{Path*} too.
    for (let at: Node<T> | undefined = node; at !== undefined; at = at.variable) found.push(...at.rest)
    return
  }
  const literal = node.literals.get(segments[depth]!)
  if (literal !== undefined) collect(literal, segments, depth + 1, found)
  if (node.variable !== undefined) collect(node.variable, segments, depth + 1, found)
  found.push(...node.rest)
}
