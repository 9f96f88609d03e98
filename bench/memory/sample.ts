// What is live in Postern's main thread, seen through its inspector after a full garbage collection.
import { inspect, liveMemory, type Inspector } from '../support/inspector.ts'
import type { Sample } from './verdict.ts'

interface Remote { readonly result: { readonly objectId: string } }

/** What `count`, called with the list of all live objects of a prototype, returns. */
async function countLive (inspector: Inspector, prototype: string, count: string): Promise<number> {
  const objectGroup = 'count'
  const { result: { objectId: prototypeObjectId } } = await inspector.call<Remote>('Runtime.evaluate', { expression: prototype, objectGroup })
  const { objects: { objectId } } = await inspector.call<{ objects: { objectId: string } }>('Runtime.queryObjects', { prototypeObjectId, objectGroup })
  const { result, exceptionDetails } = await inspector.call<{ result: { value: number }, exceptionDetails?: { text: string } }>('Runtime.callFunctionOn', { objectId, functionDeclaration: `function () { return ${count} }`, returnByValue: true })
  await inspector.call('Runtime.releaseObjectGroup', { objectGroup })
  if (exceptionDetails !== undefined) throw new Error(`${count}: ${exceptionDetails.text}`)
  return result.value
}

/** Prototypes are among what is found, and have no listeners of their own: asking them for some may throw. */
const countListeners = 'this.filter(emitter => Object.hasOwn(emitter, "_events")).reduce((sum, { _events }) => sum + Object.values(_events ?? {}).flat().length, 0)'

export async function takeSample (inspectorPort: number, requests: number): Promise<Sample> {
  const inspector = await inspect(inspectorPort)
  try {
    const timers = await countLive(inspector, 'Object.getPrototypeOf(setTimeout(() => {}, 0))', 'this.length')
    const listeners = await countLive(inspector, 'process.getBuiltinModule("node:events").EventEmitter.prototype', countListeners)
    const handles = await inspector.evaluate<number>('process.getActiveResourcesInfo().length')
    const { heapUsed, external, rss } = await liveMemory(inspector)
    return { requests, heapUsed, external, rss, timers, listeners, handles }
  } finally {
    inspector.close()
  }
}
