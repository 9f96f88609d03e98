// The story as a picture: a row for each contender, what waits and what fails, second by second. Pure: SVG text.
import type { Story } from '../story.ts'

const row = { width: 720, height: 92, left: 60, top: 56, gap: 34 }
const ceiling = 1_000
const colours = { failed: '#d1242f', pending: '#0969da', slow: '#bf8700', text: '#57606a' }

const escape = (text: string) => text.replace(/[&<>"]/g, char => `&#${char.charCodeAt(0)};`)

/** First round of each contender. Colours stand on light and dark pages. */
export function storyPicture ({ rounds, titles, plan }: Story): string {
  const first = [...titles].flatMap(([name, title]) => {
    const found = rounds.find(({ contender }) => contender === name)
    return found === undefined ? [] : [{ title, ...found }]
  })
  const seconds = plan.quietS + plan.slowS + plan.recoveryS
  // What goes through the ceiling would flatten everything else.
  const most = Math.min(ceiling, Math.max(100, ...first.flatMap(({ result }) => result.pending.map(([, all]) => all))))
  const x = (s: number) => row.left + s / seconds * row.width
  const height = row.top + first.length * (row.height + row.gap) + 12
  const rows = first.map(({ title, result }, index) => {
    const base = row.top + index * (row.height + row.gap) + row.height
    const y = (value: number) => base - Math.min(1, value / most) * (row.height - 16)
    const line = result.pending.filter(([at]) => at >= 0 && at <= seconds * 1_000).map(([at, all]) => `${x(at / 1_000).toFixed(1)},${y(all).toFixed(1)}`).join(' ')
    const bars: string[] = []
    for (let second = 0; second < seconds; second++) {
      const healthy = result.calls.filter(([due, slow]) => slow === 0 && due >= second * 1_000 && due < (second + 1) * 1_000)
      const failed = healthy.filter(([, , , status]) => status !== 200).length
      if (failed > 0) bars.push(`<rect x="${x(second).toFixed(1)}" y="${(base - failed / healthy.length * (row.height - 16)).toFixed(1)}" width="${(row.width / seconds - 1).toFixed(1)}" height="${(failed / healthy.length * (row.height - 16)).toFixed(1)}" fill="${colours.failed}" opacity=".75"/>`)
    }
    return [
      `<text x="${row.left}" y="${base - row.height + 8}" font-weight="600">${escape(title)}</text>`,
      `<line x1="${row.left}" y1="${base}" x2="${row.left + row.width}" y2="${base}" stroke="${colours.text}" stroke-width=".7"/>`,
      `<text x="${row.left - 6}" y="${y(most) + 4}" text-anchor="end">${most}${most === ceiling ? '+' : ''}</text><text x="${row.left - 6}" y="${base + 4}" text-anchor="end">0</text>`,
      ...bars,
      `<polyline points="${line}" fill="none" stroke="${colours.pending}" stroke-width="1.6"/>`
    ].join('\n')
  })
  const slowFrom = x(plan.quietS)
  const slowTo = x(plan.quietS + plan.slowS)
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${row.left + row.width + 16} ${height}" font-family="system-ui, sans-serif" font-size="12" fill="${colours.text}" role="img" aria-label="Calls pending and healthy calls failing, in front of five services of which one turns slow">
<rect x="${slowFrom.toFixed(1)}" y="34" width="${(slowTo - slowFrom).toFixed(1)}" height="${height - 40}" fill="${colours.slow}" opacity=".12"/>
<text x="${((slowFrom + slowTo) / 2).toFixed(1)}" y="48" text-anchor="middle">one service takes ${plan.slowDelayMs / 1_000} s</text>
<line x1="${row.left}" y1="18" x2="${row.left + 24}" y2="18" stroke="${colours.pending}" stroke-width="2"/><text x="${row.left + 30}" y="22">calls pending</text>
<rect x="${row.left + 130}" y="12" width="12" height="12" fill="${colours.failed}" opacity=".75"/><text x="${row.left + 148}" y="22">share of healthy calls that failed (full height: all)</text>
${rows.join('\n')}
</svg>
`
}
