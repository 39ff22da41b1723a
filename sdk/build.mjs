// Bundles. `node build.mjs server`: what the server hands out, into streamhub/web/static/sdk. `node build.mjs package`:
// dist/ of the npm package, but its types, which `node build.mjs types` arranges once tsc has made them. `node build.mjs
// test`: the unit tests, into dist/test.
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const here = dirname(fileURLToPath(import.meta.url))
const PAGES = join(here, '..', 'streamhub', 'web', 'static')
const SERVED = join(PAGES, 'sdk')
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

const own = await readJson(join(here, 'package.json'))
const bundled = await packagesOf(['livekit-client'])
const hls = await packagesOf(['hls.js'])
const client = bundled.find(({ name }) => name === 'livekit-client')
const INSIDE = `livekit-client ${client.version}, Apache-2.0, and what it uses: see LICENSES.txt`
const OURS = `${own.name} ${own.version}, StreamHub, Apache-2.0`

/** The script for a <script> tag, and the licences of what is inside it and of `others` beside it. */
async function globalScript(outdir, others = []) {
    await bundle({
        entryPoints: { 'streamhub-adaptor.global': 'src/global.ts' },
        outdir,
        minify: true,
        format: 'iife',
        globalName: 'webrtc_adaptor',
        banner: { js: `/* ${OURS}; ${INSIDE} */` },
    })
    await writeFile(join(outdir, 'LICENSES.txt'), await licences([...bundled, ...others]))
}

async function server() {
    await rm(SERVED, { recursive: true, force: true })
    await mkdir(SERVED, { recursive: true })
    const common = { outdir: SERVED, minify: true, format: 'esm' }
    await bundle({ ...common, entryPoints: { 'livekit-client': 'livekit-client' }, banner: { js: `/* ${INSIDE} */` } })
    // The other file is beside it: whoever loads both gets one client.
    await bundle({
        ...common,
        entryPoints: { [own.name]: 'src/index.ts' },
        plugins: [sharedModules, { name: 'client-beside', setup: clientBeside }],
        banner: { js: `/* ${OURS} */` },
    })
    // Without what a muxed live stream has no use for: subtitles, other audio tracks, protected media.
    const hlsBanner = `/* hls.js ${hls[0].version}, Apache-2.0: see LICENSES.txt */`
    await bundle({ ...common, entryPoints: { hls: 'hls.js/light' }, banner: { js: hlsBanner } })
    await globalScript(SERVED, hls)
}

const DIST = join(here, 'dist')

async function npmPackage() {
    await rm(DIST, { recursive: true, force: true })
    const common = { entryPoints: { index: 'src/index.ts' }, outdir: DIST, external: ['livekit-client'], sourcemap: true }
    await bundle({ ...common, format: 'esm' })
    await bundle({ ...common, format: 'cjs', outExtension: { '.js': '.cjs' } })
    await globalScript(DIST)
}

/** Leaves out what speaks of modules that are bundled away, and repeats the rest for require(). */
async function types() {
    const made = join(DIST, 'types')
    for (const file of await readdir(made, { recursive: true })) {
        const path = join(made, file)
        if (file.endsWith('.d.ts') && (await readFile(path, 'utf8')).includes("'#pages/")) await rm(path)
    }
    await cp(made, join(DIST, 'types-cjs'), { recursive: true })
    await writeFile(join(DIST, 'types-cjs', 'package.json'), '{"type": "commonjs"}\n')
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

const work = { server, package: npmPackage, types, test: unitTests }[process.argv[2]]
if (!work) {
    console.error('usage: node build.mjs server|package|types|test')
    process.exit(2)
}
await work()
