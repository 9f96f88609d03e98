// Dates of HTTP: the one format that is written and the two obsolete ones that must be understood (RFC 9110 section 5.6.7). Pure.

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
const fixed = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d{2}) (\w{3}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) GMT$/i
const rfc850 = /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d{2})-(\w{3})-(\d{2}) (\d{2}):(\d{2}):(\d{2}) GMT$/i
const asctime = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (\w{3}) ([ \d]\d) (\d{2}):(\d{2}):(\d{2}) (\d{4})$/i

/**
 * Milliseconds since the epoch; undefined for what is no date. In any letter case, and GMT only (RFC 9111 section 4.2); else strict:
 * whatever another cache would read in another way is none, and an answer whose Expires is none is stale. `nowMs` tells the century of a
 * year of two digits.
 */
export function parseHttpDate (text: string, nowMs: number): number | undefined {
  let found = fixed.exec(text)
  if (found !== null) return dateOf(Number(found[3]), found[2]!, found[1]!, found[4]!, found[5]!, found[6]!)
  found = rfc850.exec(text)
  if (found !== null) return dateOf(centuryFor(Number(found[3]), nowMs), found[2]!, found[1]!, found[4]!, found[5]!, found[6]!)
  found = asctime.exec(text)
  return found === null ? undefined : dateOf(Number(found[6]), found[1]!, found[2]!, found[3]!, found[4]!, found[5]!)
}

function dateOf (year: number, monthName: string, dayText: string, ...clock: [string, string, string]): number | undefined {
  const month = months.indexOf(monthName.toLowerCase())
  const day = Number(dayText)
  const [hours, minutes, seconds] = clock.map(Number) as [number, number, number]
  // 60 is a leap second.
  if (month === -1 || hours > 23 || minutes > 59 || seconds > 60) return undefined
  const ms = Date.UTC(year, month, day, hours, minutes, seconds)
  // 31 Feb would roll over to another day.
  return day >= 1 && new Date(Date.UTC(year, month, day)).getUTCMonth() === month ? ms : undefined
}

/** More than 50 years ahead means the century before. */
function centuryFor (twoDigits: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear()
  const year = thisYear - thisYear % 100 + twoDigits
  return year > thisYear + 50 ? year - 100 : year
}

export const httpDate = (ms: number): string => new Date(ms).toUTCString()
