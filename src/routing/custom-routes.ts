// RESTful paths of the services' own lists (/products/{Id}): matched by segment, literals before variables. Pure.
import type { CustomRoutePlan } from './plan.ts'

export interface CustomRoute<T> {
  readonly plan: CustomRoutePlan
  readonly value: T
}

interface Node<T> {
  readonly literals: Map<string, Node<T>>
  variable: Node<T> | undefined
  /** {Path*}: takes the rest. */
  rest: Array<CustomRoute<T>>
  routes: Array<CustomRoute<T>>
}

const createNode = <T>(): Node<T> => ({ literals: new Map(), variable: undefined, rest: [], routes: [] })
const segmentsOf = (path: string): string[] => path.toLowerCase().split('/').filter(segment => segment !== '')
const isVariable = (segment: string): boolean => segment.startsWith('{') && segment.endsWith('}')

/** An immutable set of templates. Literal segments match in any letter case, as on the hosts. */
export class CustomRoutes<T> {
  readonly #root = createNode<T>()
  readonly size: number

  constructor (routes: ReadonlyArray<CustomRoute<T>>) {
    this.size = routes.length
    for (const route of routes) this.#add(route)
  }

  /** All routes whose template matches, the most literal first. */
  match (decodedPath: string): ReadonlyArray<CustomRoute<T>> {
    if (this.size === 0) return []
    const found: Array<CustomRoute<T>> = []
    collect(this.#root, segmentsOf(decodedPath), 0, found)
    return found
  }

  #add (route: CustomRoute<T>): void {
    let node = this.#root
    for (const segment of segmentsOf(route.plan.path)) {
      if (isVariable(segment) && segment.endsWith('*}')) {
        node.rest.push(route)
        return
      }
      node = isVariable(segment) ? node.variable ??= createNode<T>() : child(node, segment)
    }
    node.routes.push(route)
  }
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
    found.push(...node.routes, ...node.rest)
    return
  }
  const literal = node.literals.get(segments[depth]!)
  if (literal !== undefined) collect(literal, segments, depth + 1, found)
  if (node.variable !== undefined) collect(node.variable, segments, depth + 1, found)
  found.push(...node.rest)
}
