// Parameters that unlock or fake things on ServiceStack hosts, which strangers may not send by any way on which hosts read parameters. Pure.

export const debugNames = ['authsecret', 'debug', 'simulate']

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

function nameOf (pair: string): string {
  const name = /^[^=;,]*/.exec(pair)![0].replaceAll('+', ' ')
  return name.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))).trim().toLowerCase()
}
