// Outage copies on disk: one file each, written whole or not at all, one after the other, and never trusted blindly. I/O.
import { createHash } from 'node:crypto'
import { readdir, readFile, stat, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { writeWhole } from '../../lib/whole-file.ts'
import { decodeValue, encodeFrame, type Frame } from '../second-level/frame.ts'

const folder = 'outage-copies'
const isOurs = (name: string): boolean => /^[\w-]{22}\.copy(?:\.tmp)?$/.test(name)
/** By the digest of what is wanted: a request may be longer than a file name. */
const nameOf = (id: string): string => `${createHash('sha256').update(id).digest('base64url').slice(0, 22)}.copy`
/** Of the head beside the body. */
const mostHeadBytes = 1_048_576

export class CopyFiles {
  readonly #directory: string | undefined
  readonly #onProblem: (problem: string, error: Error) => void
  /** What is to become of each file; undefined = it goes. The last word counts, so it holds no more than there are copies. */
  readonly #due = new Map<string, (() => Buffer) | undefined>()
  #working: Promise<void> | undefined
  #closed = false
  /** The last write failed: said once, until one succeeds. */
  #failing = false

  /** `dataDirectory` undefined: nothing is kept. */
  constructor (dataDirectory: string | undefined, onProblem: (problem: string, error: Error) => void) {
    this.#directory = dataDirectory === undefined ? undefined : join(dataDirectory, folder)
    this.#onProblem = onProblem
  }

  /** Whether what is on disk is what was handed in. */
  get inStep (): boolean { return this.#directory !== undefined && !this.#failing }

  /** What was kept of the wanted ones; the files of others go. A file that cannot be read is reported and passed over. */
  async load (ids: Iterable<string>, mostBodyBytes: number): Promise<Frame[]> {
    if (this.#directory === undefined) return []
    const wanted = new Set([...ids].map(nameOf))
    const frames: Frame[] = []
    for (const name of await this.#names()) {
      if (!isOurs(name)) continue
      if (!wanted.has(name)) this.#plan(name, undefined)
      else {
        const frame = await this.#read(name, mostBodyBytes + mostHeadBytes)
        if (frame !== undefined) frames.push(frame)
      }
    }
    return frames
  }

  write (id: string, frame: Frame): void {
    this.#plan(nameOf(id), () => encodeFrame(frame))
  }

  remove (id: string): void {
    this.#plan(nameOf(id), undefined)
  }

  /** Settles when everything is written; what comes afterwards is not. */
  async close (): Promise<void> {
    this.#closed = true
    while (this.#working !== undefined) await this.#working
  }

  async #names (): Promise<string[]> {
    try {
      return await readdir(this.#directory!)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.#onProblem('the outage copies cannot be read', error as Error)
      return []
    }
  }

  async #read (name: string, mostBytes: number): Promise<Frame | undefined> {
    const path = join(this.#directory!, name)
    try {
      const { size } = await stat(path)
      if (size > mostBytes) throw new Error(`${path} is longer than ${mostBytes} bytes`)
      const value = decodeValue(await readFile(path))
      if (value === undefined || !('answer' in value)) throw new Error(`${path} is cut short, or no copy of this version`)
      return value.answer
    } catch (error) {
      this.#onProblem('an outage copy cannot be read and is ignored', error as Error)
      return undefined
    }
  }

  #plan (name: string, content: (() => Buffer) | undefined): void {
    if (this.#directory === undefined || this.#closed) return
    this.#due.set(name, content)
    if (this.#working === undefined) this.#start()
  }

  #start (): void {
    this.#working = this.#work().then(() => {
      this.#working = undefined
      // Something may have come since the last file.
      if (this.#due.size > 0) this.#start()
    })
  }

  async #work (): Promise<void> {
    // Later in this turn of the event loop more may come for the same file.
    await undefined
    for (const [name, content] of this.#due) {
      this.#due.delete(name)
      const path = join(this.#directory!, name)
      try {
        if (content === undefined) await unlink(path)
        else {
          await writeWhole(path, content())
          this.#failing = false
        }
      } catch (error) {
        if (content === undefined && (error as NodeJS.ErrnoException).code === 'ENOENT') continue
        if (!this.#failing) this.#onProblem('the outage copies on disk cannot be brought up to date: after a restart some are lost or old', error as Error)
        this.#failing = true
      }
    }
  }
}
