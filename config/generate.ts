// Writes what is made from the tables of the source: the editors' schema and the reference pages. With --check: says which are stale.
import { readFile, writeFile } from 'node:fs/promises'
import { configPage, configSchema } from './generate-config.ts'
import { errorsPage, metricsPage } from './generate-tables.ts'

const root = new URL('../', import.meta.url)
const files: Readonly<Record<string, string>> = {
  'config/postern.schema.json': configSchema(),
  'docs/CONFIG.md': configPage(),
  'docs/ERRORS.md': errorsPage(),
  'docs/METRICS.md': metricsPage()
}

const isCheck = process.argv.includes('--check')
const stale: string[] = []
for (const [file, text] of Object.entries(files)) {
  const before = await readFile(new URL(file, root), 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  })
  if (before === text) continue
  stale.push(file)
  if (!isCheck) await writeFile(new URL(file, root), text)
}
if (!isCheck) console.log(stale.length === 0 ? 'Everything was up to date.' : `Wrote ${stale.join(', ')}`)
else if (stale.length > 0) {
  console.error(`Stale: ${stale.join(', ')}. Run: npm run gen`)
  process.exitCode = 1
}
