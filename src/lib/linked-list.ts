// A list of things that carry their own links: each enters and leaves it at the same cost, however many there are.

export interface Linked<T> {
  previous: T | undefined
  next: T | undefined
}

/** Not a Map or Set where every request comes and goes: the tables of those grow old, and what an old table named lives until the next full collection. */
export class LinkedList<T extends Linked<T>> {
  first: T | undefined
  last: T | undefined

  /** At the end. */
  add (one: T): void {
    one.previous = this.last
    if (this.last === undefined) this.first = one
    else this.last.next = one
    this.last = one
  }

  /** One that is not in it is left alone. */
  remove (one: T): void {
    if (one.previous === undefined && this.first !== one) return
    if (one.previous === undefined) this.first = one.next
    else one.previous.next = one.next
    if (one.next === undefined) this.last = one.previous
    else one.next.previous = one.previous
    one.previous = one.next = undefined
  }
}
