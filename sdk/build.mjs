// Bundles. `node build.mjs server`: what the server hands out, into streamhub/web/static/sdk.
import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const SERVED = join(here, '..', 'streamhub', 'web', 'static', 'sdk')
// What every browser of the last five years understands, old tablets on a wall included.
const TARGET = ['es2020', 'chrome87', 'firefox88', 'safari14']

const readJson = async path => JSON.parse(await readFile(path, 'utf8'))

/** Every package that a bundle of `names` may contain, sorted, each once. */
async function packagesOf(names) {
    const found = new Map()
    const visit = async name => {
        if (found.has(name) || name.startsWith('@types/')) return
        const folder = join(here, 'node_modules', name)
        const about = await readJson(join(folder, 'package.json'))
        found.set(name, { ...about, folder })
        for (const inner of Object.keys(about.dependencies ?? {})) await visit(inner)
    }
    for (const name of names) await visit(name)
    return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The licences of everything bundled: their conditions are that the text travels along. */
async function licences(packages) {
    const parts = []
    for (const { name, version, license, author, folder } of packages) {
        const by = typeof author === 'string' ? author : author?.name
        parts.push(`${'='.repeat(80)}\n${name} ${version}: ${license}${by ? `, by ${by}` : ''}\n`)
        const files = (await readdir(folder)).filter(file => /^(licen[cs]e|notice|copying)/i.test(file))
        for (const file of files.sort()) parts.push(`\n${await readFile(join(folder, file), 'utf8')}\n`)
    }
    return parts.join('')
}

async function server() {
    await rm(SERVED, { recursive: true, force: true })
    await mkdir(SERVED, { recursive: true })
    const packages = await packagesOf(['livekit-client'])
    const client = packages.find(({ name }) => name === 'livekit-client')
    await build({
        absWorkingDir: here,
        entryPoints: { 'livekit-client': 'livekit-client' },
        outdir: SERVED,
        bundle: true,
        minify: true,
        format: 'esm',
        target: TARGET,
        legalComments: 'none',
        banner: { js: `/* livekit-client ${client.version}, Apache-2.0, and what it uses: see LICENSES.txt */` },
        logLevel: 'warning',
    })
    await writeFile(join(SERVED, 'LICENSES.txt'), await licences(packages))
}

const work = { server }[process.argv[2]]
if (!work) {
    console.error('usage: node build.mjs server')
    process.exit(2)
}
await work()
