// 32 bits of a text, quickly. Whoever chooses the texts can make them collide: nothing but speed and evenness may rest on it.

/** FNV-1a; a signed number. Texts that differ little have hashes that differ little. */
export function fnv1a (text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/** FNV-1a mixed once more, from 0 on: similar texts do not stand beside each other. */
export const hashOf = (text: string): number => mix(fnv1a(text))

/** The finalizer of MurmurHash3. */
export function mix (value: number): number {
  let hash = value >>> 0
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
