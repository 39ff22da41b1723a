// Bundles. `node build.mjs server`: what the server hands out, into streamhub/web/static/sdk. `node build.mjs package`:
// dist/ of the npm package, without its types. `node build.mjs test`: the unit tests, into dist/test.
import { copyFile, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const PAGES = join(here, '..', 'streamhub', 'web', 'static')
const SERVED = join(PAGES, 'sdk')
const GLOBAL = 'streamhub-adaptor.global'
// What every browser of the last five years understands, old tablets on a wall included.
const TARGET = 'es2020'

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

// `#pages/…` are the server's own page modules; LiveKit's client, which they fetch lazily, is bundled or imported here.
const sharedModules = {
    name: 'shared-modules',
    setup(building) {
        building.onResolve({ filter: /^#pages\// }, ({ path }) => ({ path: join(PAGES, path.slice('#pages/'.length)) }))
        building.onResolve({ filter: /\/livekit\.js$/ }, ({ importer }) =>
            importer.startsWith(PAGES) ? { path: join(here, 'src', 'livekit.ts') } : undefined,
        )
    },
}

const bundle = options =>
    build({
        absWorkingDir: here,
        bundle: true,
        target: TARGET,
        legalComments: 'none',
        logLevel: 'warning',
        plugins: [sharedModules],
        ...options,
    })

const clientBeside = building =>
    building.onResolve({ filter: /^livekit-client$/ }, () => ({ path: './livekit-client.js', external: true }))

const OURS = 'StreamHub, Apache-2.0'

async function server() {
    await rm(SERVED, { recursive: true, force: true })
    await mkdir(SERVED, { recursive: true })
    const packages = await packagesOf(['livekit-client'])
    const { version } = packages.find(({ name }) => name === 'livekit-client')
    const inside = `livekit-client ${version}, Apache-2.0, and what it uses: see LICENSES.txt`
    const common = { outdir: SERVED, minify: true }
    await bundle({
        ...common,
        entryPoints: { 'livekit-client': 'livekit-client' },
        format: 'esm',
        banner: { js: `/* ${inside} */` },
    })
    const { name, version: own } = await readJson(join(here, 'package.json'))
    const banner = { js: `/* ${name} ${own}, ${OURS}; ${inside} */` }
    await bundle({
        ...common,
        entryPoints: { [GLOBAL]: 'src/global.ts' },
        format: 'iife',
        globalName: 'webrtc_adaptor',
        banner,
    })
    // The other file is beside it: whoever loads both gets one client.
    await bundle({
        ...common,
        entryPoints: { [name]: 'src/index.ts' },
        format: 'esm',
        plugins: [sharedModules, { name: 'client-beside', setup: clientBeside }],
        banner: { js: `/* ${name} ${own}, ${OURS} */` },
    })
    await writeFile(join(SERVED, 'LICENSES.txt'), await licences(packages))
}

async function npmPackage() {
    await rm(join(here, 'dist'), { recursive: true, force: true })
    const common = { entryPoints: { index: 'src/index.ts' }, outdir: 'dist', external: ['livekit-client'], sourcemap: true }
    await bundle({ ...common, format: 'esm' })
    await bundle({ ...common, format: 'cjs', outExtension: { '.js': '.cjs' } })
    await server()
    for (const file of [`${GLOBAL}.js`, 'LICENSES.txt']) await copyFile(join(SERVED, file), join(here, 'dist', file))
}

async function unitTests() {
    await rm(join(here, 'dist', 'test'), { recursive: true, force: true })
    const found = (await readdir(join(here, 'test'))).filter(file => file.endsWith('.test.ts'))
    await bundle({
        entryPoints: found.map(file => `test/${file}`),
        outdir: 'dist/test',
        format: 'esm',
        platform: 'node',
        target: 'node20',
        sourcemap: 'inline',
        outExtension: { '.js': '.mjs' },
    })
}

const work = { server, package: npmPackage, test: unitTests }[process.argv[2]]
if (!work) {
    console.error('usage: node build.mjs server|package|test')
    process.exit(2)
}
await work()
