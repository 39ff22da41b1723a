// In every frame of every page: tells what its videos and pictures show and sound like, as often as that changes.
const seen = new WeakMap()
const ears = new WeakMap()
let context = null

function isShown(element) {
    const { visibility } = getComputedStyle(element)
    return element.getClientRects().length > 0 && visibility !== 'hidden' && !element.closest('[hidden]')
}

function kindOf(element) {
    if (element.tagName === 'CANVAS') return 'pictures'
    return element.srcObject ? 'webrtc' : 'hls'
}

function look() {
    const badge = document.getElementById('badge-word')?.textContent ?? ''
    for (const element of document.querySelectorAll('video, canvas')) {
        if (!isShown(element) || (element.tagName === 'VIDEO' && (element.readyState < 2 || !element.videoWidth))) continue
        if (!element.width && element.tagName === 'CANVAS') continue
        const mark = readMark(element)
        if (mark === null || seen.get(element) === mark.join()) continue
        seen.set(element, mark.join())
        tell({ event: 'mark', life: mark[0], n: mark[1], kind: kindOf(element), badge })
    }
}

// One meter for each sound; what is muted is heard all the same: it is the page's business, and told by its buttons.
function meterOf(element) {
    const stream = element.srcObject ?? (element.tagName === 'VIDEO' && element.readyState > 2 ? element.captureStream() : null)
    if (!stream || !stream.getAudioTracks().length) return null
    const track = stream.getAudioTracks()[0]
    if (!ears.has(track)) {
        context ??= new AudioContext()
        const meter = context.createAnalyser()
        meter.fftSize = 8192
        context.createMediaStreamSource(new MediaStream([track])).connect(meter)
        ears.set(track, meter)
    }
    return ears.get(track)
}

function listen() {
    for (const element of document.querySelectorAll('video, audio')) {
        const meter = meterOf(element)
        if (!meter) continue
        const levels = new Float32Array(meter.frequencyBinCount)
        meter.getFloatFrequencyData(levels)
        const loudest = levels.indexOf(Math.max(...levels))
        const hz = (loudest * context.sampleRate) / meter.fftSize
        if (levels[loudest] > -60 && Math.abs(hz - 440) < 12) tell({ event: 'tone', hz })
    }
}

function tell(what) {
    window.say?.(JSON.stringify({ ...what, frame: location.pathname + location.search }))
}

setInterval(look, 150)
setInterval(listen, 700)
