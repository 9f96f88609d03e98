// The page at /: what there is to look at. Pure.

/** What the admin listener serves: path → what it says. Also the answer to an unknown path. */
export const endpoints = {
  '/livez': 'Whether the process runs: always 200.',
  '/readyz': '200 once a route table exists and the gateway is not draining; else 503 with the reason.',
  '/metrics': 'Prometheus metrics.',
  '/api/routes': 'Every message, prefix and path: where it goes, and why or why not.',
  '/api/upstreams': 'Every upstream and registration: what gets traffic and why; live: breakers, bulkheads, connections.',
  '/api/config': 'The configuration in force, defaults filled in, secrets left out.',
  '/api/version': 'Version of the gateway and of Node.'
} as const

const escape = (text: string) => text.replace(/[&<>"]/g, char => `&#${char.charCodeAt(0)};`)

export function indexPage (facts: { version: string, ready: boolean, reason: string, actions: ReadonlyArray<{ method: string, path: string, says: string }> }): string {
  const rows = Object.entries(endpoints).map(([path, says]) => `<li><a href="${path}">${path}</a> ${escape(says)}</li>`).join('\n')
  const actions = facts.actions.map(({ method, path, says }) => `<li><code>${method} ${escape(path)}</code> ${escape(says)}</li>`).join('\n')
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Postern</title>
<style>body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 45rem; padding: 0 1rem } li { margin: .5rem 0 }</style>
<h1>Postern ${escape(facts.version)}</h1>
<p>${facts.ready ? 'Ready.' : `Not ready: ${escape(facts.reason)}.`}</p>
<ul>
${rows}
${actions}
</ul>
</html>
`
}
