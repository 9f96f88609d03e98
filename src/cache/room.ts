// Memory for bodies that are still arriving and are to be stored: one bound for all of them, and one for each.
import type { ArrivalRoom } from './arriving-body.ts'

export interface RoomLimits {
  readonly maxEntryBytes: number
  readonly maxArrivingBytes: number
}

export class Room {
  readonly limits: () => RoomLimits
  bytes = 0

  constructor (limits: () => RoomLimits) {
    this.limits = limits
  }
}

/** What one body has of it. */
export class Reservation implements ArrivalRoom {
  readonly #room: Room
  #bytes = 0
  /** Why it gets no more. */
  refused: 'too-large' | 'no-room' | undefined = undefined

  constructor (room: Room) {
    this.#room = room
  }

  upTo (bytes: number): boolean {
    const { maxEntryBytes, maxArrivingBytes } = this.#room.limits()
    const more = Math.max(0, bytes - this.#bytes)
    this.refused = bytes > maxEntryBytes ? 'too-large' : this.#room.bytes + more > maxArrivingBytes && more > 0 ? 'no-room' : undefined
    if (this.refused === undefined) this.#take(more)
    return this.refused === undefined
  }

  downTo (bytes: number): void {
    if (bytes < this.#bytes) this.#take(bytes - this.#bytes)
  }

  giveBack (): void {
    this.downTo(0)
  }

  #take (bytes: number): void {
    this.#bytes += bytes
    this.#room.bytes += bytes
  }
}
