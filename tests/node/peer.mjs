// LiveKit clients in Node (@livekit/rtc-node): JSON lines in, JSON lines out, as tests/support/rtc_peer.py, but several in
// one process. In: {"seat", "do": "join", "url", "token"}, then {"seat", "do": "publish", "kind"} and {"seat", "do": "say",
// "text"}; at the end of the input they leave. Out: {"seat", "event": …}.
import { createInterface } from 'node:readline'
import {
    AudioFrame,
    AudioSource,
    AudioStream,
    LocalAudioTrack,
    LocalVideoTrack,
    Room,
    RoomEvent,
    TrackKind,
    TrackPublishOptions,
    TrackSource,
    VideoBufferType,
    VideoFrame,
    VideoSource,
    VideoStream,
    dispose,
} from '@livekit/rtc-node'

const [WIDTH, HEIGHT, FPS, RATE] = [160, 120, 5, 48_000]
const seats = new Map()
let leaving = false
const say = (seat, event, more = {}) => process.stdout.write(`${JSON.stringify({ seat, event, ...more })}\n`)

async function watch(seat, track, who) {
    if (track.kind === TrackKind.KIND_VIDEO) {
        let frames = 0
        for await (const _ of new VideoStream(track)) if (++frames === 10) break
        say(seat, 'frames', { who, count: frames })
    } else {
        const sound = new AudioStream(track, { frameSizeMs: 100 })
        for await (const frame of sound) if (frame.data.some(value => Math.abs(value) > 2000)) break
        say(seat, 'sound', { who })
    }
}

async function join(seat, url, token) {
    const room = new Room()
    room.on(RoomEvent.ParticipantConnected, one => say(seat, 'participant', { who: one.identity }))
    room.on(RoomEvent.TrackSubscribed, (track, _publication, one) => {
        watch(seat, track, one.identity).catch(error => leaving || say(seat, 'error', { why: String(error) }))
    })
    room.on(RoomEvent.DataReceived, (payload, one) => {
        say(seat, 'data', { who: one?.identity ?? null, text: new TextDecoder().decode(payload) })
    })
    await room.connect(url, token, { autoSubscribe: true, dynacast: false })
    seats.set(seat, room)
    say(seat, 'joined', { who: room.localParticipant.identity, room: room.name })
}

async function draw(source) {
    for (let shade = 0; !leaving; shade = (shade + 7) % 256) {
        const pixels = new Uint32Array(WIDTH * HEIGHT).fill(0xff800000 + shade * 256 + 255 - shade)
        source.captureFrame(new VideoFrame(new Uint8Array(pixels.buffer), WIDTH, HEIGHT, VideoBufferType.RGBA))
        await new Promise(done => setTimeout(done, 1000 / FPS))
    }
}

async function hum(source) {
    const count = RATE / 10 // 44 waves
    const wave = Int16Array.from({ length: count }, (_, n) => 12_000 * Math.sin((2 * Math.PI * 440 * n) / RATE))
    while (!leaving) await source.captureFrame(new AudioFrame(wave, RATE, 1, count))
}

async function publish(seat, kind) {
    const options = new TrackPublishOptions()
    let track, send
    if (kind === 'video') {
        const source = new VideoSource(WIDTH, HEIGHT)
        track = LocalVideoTrack.createVideoTrack('camera', source)
        options.source = TrackSource.SOURCE_CAMERA
        options.simulcast = false
        send = () => draw(source)
    } else {
        const source = new AudioSource(RATE, 1)
        track = LocalAudioTrack.createAudioTrack('microphone', source)
        options.source = TrackSource.SOURCE_MICROPHONE
        send = () => hum(source)
    }
    // What LiveKit does not allow it does not answer either: an error after 10 s, and nothing else of that room meanwhile.
    await seats.get(seat).localParticipant.publishTrack(track, options)
    say(seat, 'published', { kind })
    await send()
}

async function act({ seat, do: what, url, token, kind, text }) {
    try {
        if (what === 'join') await join(seat, url, token)
        else if (what === 'publish') await publish(seat, kind)
        else await seats.get(seat).localParticipant.publishData(new TextEncoder().encode(text), { reliable: true })
    } catch (error) {
        if (!leaving) say(seat, 'refused', { what, kind, why: String(error) })
    }
}

for await (const line of createInterface({ input: process.stdin })) act(JSON.parse(line))
leaving = true
await Promise.all([...seats.values()].map(room => room.disconnect()))
await dispose()
process.exit(0)
