// LiveKit clients in a page (the livekit-client our server hands out), as tests/support/rtc_peer.py, but several in one page.
// `say(line)` takes a JSON line out; the page's `act(command)` takes one in.
const { Room, RoomEvent, Track } = await import('/static/sdk/livekit-client.js')

const seats = new Map()
const sound = new AudioContext()
const say = (seat, event, more = {}) => window.say(JSON.stringify({ seat, event, ...more }))

function watch(seat, track, who) {
    const element = track.attach()
    document.body.append(element)
    if (track.kind === Track.Kind.Video) {
        let frames = 0
        const seen = () => {
            frames += 1
            if (frames === 10) say(seat, 'frames', { who, count: frames })
            else element.requestVideoFrameCallback(seen)
        }
        element.requestVideoFrameCallback(seen)
    } else {
        const meter = sound.createAnalyser()
        sound.createMediaStreamSource(new MediaStream([track.mediaStreamTrack])).connect(meter)
        const wave = new Float32Array(meter.fftSize)
        const listen = setInterval(() => {
            meter.getFloatTimeDomainData(wave)
            if (wave.some(value => Math.abs(value) > 0.06)) {
                clearInterval(listen)
                say(seat, 'sound', { who })
            }
        }, 50)
    }
}

async function join(seat, url, token) {
    const room = new Room()
    room.on(RoomEvent.ParticipantConnected, one => say(seat, 'participant', { who: one.identity }))
    room.on(RoomEvent.TrackSubscribed, (track, _publication, one) => watch(seat, track, one.identity))
    room.on(RoomEvent.DataReceived, (payload, one) =>
        say(seat, 'data', { who: one?.identity ?? null, text: new TextDecoder().decode(payload) }),
    )
    await room.connect(url, token)
    seats.set(seat, room)
    say(seat, 'joined', { who: room.localParticipant.identity, room: room.name })
}

function picture() {
    const canvas = Object.assign(document.createElement('canvas'), { width: 320, height: 240 })
    const pen = canvas.getContext('2d')
    setInterval(() => {
        pen.fillStyle = `hsl(${(Date.now() / 10) % 360} 80% 50%)`
        pen.fillRect(0, 0, 320, 240)
    }, 60)
    return canvas.captureStream(15).getVideoTracks()[0]
}

function tone(frequency) {
    const [source, out] = [new OscillatorNode(sound, { frequency }), sound.createMediaStreamDestination()]
    source.connect(out)
    source.start()
    return out.stream.getAudioTracks()[0]
}

async function publish(seat, kind, { hertz, videoCodec }) {
    const { localParticipant } = seats.get(seat)
    if (kind === 'video') await localParticipant.publishTrack(picture(), { source: Track.Source.Camera, simulcast: false, videoCodec })
    else await localParticipant.publishTrack(tone(hertz), { source: Track.Source.Microphone })
    say(seat, 'published', { kind })
}

window.act = ({ seat, do: what, url, token, kind, text, hertz = 440, codec: videoCodec }) => {
    const done = {
        join: () => join(seat, url, token),
        publish: () => publish(seat, kind, { hertz, videoCodec }),
        say: () => seats.get(seat).localParticipant.publishData(new TextEncoder().encode(text), { reliable: true }),
    }[what]()
    done.catch(error => say(seat, 'refused', { what, kind, why: String(error) }))
}
