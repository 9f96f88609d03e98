// Parameters that unlock or fake things on ServiceStack hosts, or name a session, which clients may not send by any way on which hosts read parameters. Pure.

export const debugNames = ['authsecret', 'debug', 'simulate']
/** Session ids as parameters: hosts obey them where AllowSessionIdsInHttpParams is on. */
export const sessionKeys = ['x-ss-id', 'x-ss-pid', 'x-ss-opt', 'ss-id', 'ss-pid', 'ss-opt']

/** A header of this name and a parameter's is that parameter to hosts, before the query (IRequest.GetParam). */
export const paramOverride = 'x-param-override-'

/** Older ASP.NET Core decodes names; nearly every other cookie is passed over by this one test. */
const suspicious = new RegExp(`${debugNames.join('|')}|%[^=;,]*=`, 'i')

/** A Cookie header without those of these names, which GetParam finds when neither query nor form has them. HttpListener takes a comma for a semicolon. */
export function withoutDebugCookies (cookies: string): string {
  if (!suspicious.test(cookies)) return cookies
  const pairs = cookies.split(/(?<=[;,])/)
  const kept = pairs.filter(pair => !debugNames.includes(nameOf(pair)))
  return kept.length === pairs.length ? cookies : kept.join('').trim().replace(/[;,]$/, '')
}

const nameOf = (pair: string): string => decodeFieldName(/^[^=;,]*/.exec(pair)![0].trim())

/** As hosts decode it: plus is a space, spaces around do not count. What does not decode is left as it is: hosts keep it too. */
export function decodeFieldName (raw: string): string {
  if (!raw.includes('%') && !raw.includes('+')) return raw.toLowerCase()
  const spaced = raw.replaceAll('+', ' ')
  try {
    return decodeURIComponent(spaced).trim().toLowerCase()
  } catch {
    return spaced.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))).trim().toLowerCase()
  }
}
