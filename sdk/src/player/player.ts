import { createSound, type Sound } from '#pages/rtc/sound.js'
import { Emitter } from '../events.js'
import { StreamHubError } from '../errors.js'
import { accessOf, askPlayToken, type Access, type Place, type TokenAnswer } from '../server.js'
import type { DataMessage } from '../session.js'
import { Progress, startHls } from './hls.js'
import { createPictures, type Pictures } from './picture.js'
import { createLastPicture, type LastPicture } from './poster.js'
import { createWatching, type Watching } from './webrtc.js'

export interface PlayOptions extends Place {
  /** For private apps: a token that may watch this room. Public ones need none. */
  token?: string
  /** Instead: asks your own backend for a join token that may subscribe, at each connection. */
  getToken?: () => Promise<TokenAnswer>
  /** The identity of the only publisher to show. Default: a shared screen, else whoever came first; all are heard. */
  participant?: string
  muted?: boolean
  volume?: number
}

export type PlayState = 'connecting' | 'playing' | 'offline' | 'refused' | 'stopped'
export type PlaySource = 'webrtc' | 'hls' | 'mjpeg'

export interface PlayEvents {
  state: [state: PlayState]
  /** Where the picture comes from; null: there is none. */
  source: [source: PlaySource | null]
  /** Identities of who publishes by WebRTC. */
  publishers: [identities: string[]]
  /** Muted by us or by the browser's rules (`blocked`: unmute() from a click helps). */
  sound: [sound: { muted: boolean; blocked: boolean; volume: number }]
  data: [message: DataMessage]
  /** Why it does not play just now; it goes on trying. */
  problem: [error: StreamHubError]
}

const TICK_MS = 500
// Without the viewer socket's word WebRTC is tried anyway.
const SPEECHLESS_MS = 2000
// A publisher who comes back finds us still in the room.
const LINGER_MS = 30000
const HLS_AGAIN_MS = 5000
// A source that is live is given so long to come to LiveKit.
const LONELY_MS = 4000
const REFUSALS: Record<string, string> = {
  playback_unauthorized: 'this room is private: play it with a token that may watch it',
  unknown_app: 'there is no such app on this server',
  too_many_viewers: 'the room is full; it is tried again',
}

/** Plays one room into one video element and does not give up: WebRTC, else HLS, else the camera's pictures. */
export class Player extends Emitter<PlayEvents> {
  readonly video: HTMLVideoElement
  readonly #options: PlayOptions
  readonly #ownsVideo: boolean
  readonly #sound: Sound
  readonly #pictures: Pictures
  readonly #watching: Watching
  readonly #last: LastPicture
  readonly #timer: ReturnType<typeof setInterval>
  readonly #online = (): void => this.restart()
  #token: string | null
  #state: PlayState = 'connecting'
  #source: PlaySource | null = null
  #publishers = ''
  #problem = ''
  #sounding = ''
  #startedAt = performance.now()
  #unwantedAt = 0
  #endHls: (() => void) | null = null
  #hlsProgress = new Progress()
  #hlsPlays = false
  #hlsAgainAt = 0
  #lonelySince = 0

  /** @internal Use play(). */
  constructor(element: HTMLElement, options: PlayOptions) {
    super()
    this.#options = options
    this.#token = options.token ?? null
    this.#ownsVideo = !(element instanceof HTMLVideoElement)
    this.video = element instanceof HTMLVideoElement ? element : putVideo(element)
    this.video.playsInline = true
    this.#last = createLastPicture(this.video, options)
    this.#sound = createSound({
      muted: options.muted ?? this.video.muted,
      volume: options.volume ?? 1,
      changed: () => this.#tellSound(),
    })
    const changed = (): void => this.#decide()
    this.#pictures = createPictures(options, () => this.#token, changed)
    this.#watching = createWatching(() => this.#ask(), {
      video: this.video,
      sound: this.#sound,
      participant: options.participant ?? null,
      data: message => this.emit('data', message),
      changed,
    })
    this.video.addEventListener('volumechange', this.#volume)
    globalThis.addEventListener('online', this.#online)
    this.#timer = setInterval(() => void this.#watching.look().then(changed), TICK_MS)
    // A private room's pictures want the token too.
    const known = options.getToken ? this.#ask().then(noted, noted) : null
    if (known) void known.then(() => this.#state === 'stopped' || this.#pictures.start())
    else this.#pictures.start()
  }

  get state(): PlayState {
    return this.#state
  }

  get source(): PlaySource | null {
    return this.#source
  }

  /** When the picture was taken that is shown, dated, until it plays; null: there is none. */
  get lastPictureAt(): Date | null {
    return this.#last.takenAt
  }

  get publishers(): string[] {
    return this.#watching.publishers
  }

  get muted(): boolean {
    return this.#sound.muted
  }

  get volume(): number {
    return this.#sound.volume
  }

  mute(): void {
    this.#sound.setMuted(true)
  }

  /** Browsers allow it from a click or key press, and on pages that were used before. */
  unmute(): void {
    this.#sound.setMuted(false)
  }

  /** 0 to 1. */
  setVolume(volume: number): void {
    this.#sound.setVolume(volume)
  }

  /** Tries at once what would be tried later. */
  restart(): void {
    if (this.#state === 'stopped') return
    this.#pictures.restart()
    if (!this.#watching.playing) this.#watching.restart()
  }

  stop(): void {
    if (this.#state === 'stopped') return
    clearInterval(this.#timer)
    globalThis.removeEventListener('online', this.#online)
    this.video.removeEventListener('volumechange', this.#volume)
    this.#watching.stop()
    this.#pictures.stop()
    this.#use(null)
    this.#last.forget()
    this.#become('stopped')
    if (this.#ownsVideo) this.video.remove()
  }

  async #ask(): Promise<Access> {
    const { getToken, server } = this.#options
    if (!getToken) return askPlayToken(this.#options, this.#token)
    const access = accessOf(await getToken(), server)
    this.#token = access.token
    if (this.#pictures.refused) this.#pictures.restart()
    return access
  }

  // Called whenever anything may have changed. Order of preference: WebRTC, the camera's own pictures, HLS.
  #decide(): void {
    if (this.#state === 'stopped') return
    const { told, refused } = this.#pictures
    if (told) this.#want(told.publishers > 0)
    else if (refused) this.#want(Boolean(this.#options.getToken)) // which may know a better token by now
    else this.#want(performance.now() - this.#startedAt > SPEECHLESS_MS)
    if (this.#watching.playing) this.#use('webrtc')
    else if (this.#pictures.playing) this.#use('mjpeg')
    else if (told?.hls && (this.#source === 'hls' || this.#watching.failed || this.#isLonely(told))) this.#tryHls()
    else if (this.#source !== 'webrtc' || !this.#watching.running) this.#use(null)
    const publishers = this.publishers.join('\n')
    if (publishers !== this.#publishers) {
      this.#publishers = publishers
      this.emit('publishers', this.publishers)
    }
    this.#tell()
  }

  #want(yes: boolean): void {
    const now = performance.now()
    if (yes) {
      this.#unwantedAt = 0
      this.#watching.start()
    } else if (this.#watching.running && !this.#watching.playing) {
      this.#unwantedAt ||= now
      if (now - this.#unwantedAt > LINGER_MS) this.#watching.stop()
    }
  }

  // Live, but not in LiveKit.
  #isLonely({ state, publishers }: { state: string; publishers: number }): boolean {
    const now = performance.now()
    if (state !== 'live' || publishers) this.#lonelySince = 0
    else this.#lonelySince ||= now
    return this.#lonelySince > 0 && now - this.#lonelySince > LONELY_MS
  }

  #tryHls(): void {
    const found = this.#source === 'hls' ? this.#hlsProgress.look(this.video) : 'waits'
    this.#hlsPlays = found === 'plays'
    if (found === 'stuck') this.#hlsFailed()
    else this.#use(performance.now() < this.#hlsAgainAt ? null : 'hls')
  }

  #use(source: PlaySource | null): void {
    const before = this.#source
    this.#source = source
    if (before === 'hls' && source !== 'hls') {
      this.#hlsPlays = false
      this.#endHls?.()
      this.#endHls = null
    }
    if (before === 'mjpeg' && source !== 'mjpeg') this.video.srcObject = null
    // With nothing better to see a track is put in as soon as it is there, before anything came of it.
    this.#watching.show(source === 'webrtc' || source === null)
    if (source === before) return
    if (source === 'mjpeg') this.video.srcObject = this.#pictures.canvas.captureStream()
    if (source === 'hls') {
      this.#hlsProgress = new Progress()
      this.#endHls = startHls(this.video, this.#options, this.#token, this.#hlsFailed)
    }
    if (source) this.#sound.add(this.video)
    this.emit('source', source)
  }

  #tell(): void {
    const { told, refused } = this.#pictures
    const playing = this.#source === 'hls' ? this.#hlsPlays : this.#source !== null && (this.#watching.playing || this.#pictures.playing)
    const error = this.#watching.error
    if (refused) this.#last.forget()
    else if (told && !playing && !this.#options.participant) this.#last.renew(told, this.#token)
    if (playing) this.#become('playing')
    else if (refused) this.#become('refused')
    else if (told && !told.publishers && !told.camera && !['connecting', 'live'].includes(told.state)) this.#become('offline')
    else if (told?.camera?.state === 'offline') this.#become('offline')
    else this.#become('connecting')
    if (playing) this.#problem = ''
    else if (refused) this.#complain(new StreamHubError(refused, REFUSALS[refused] ?? refused.replace(/_/g, ' ')))
    else if (error) this.#complain(error)
    else if (this.#watching.failed) {
      const hint = 'WebRTC may be blocked between here and the server; it is tried again.'
      this.#complain(new StreamHubError('no_media', 'no media has arrived for four seconds', { hint }))
    }
  }

  #become(state: PlayState): void {
    if (state === this.#state) return
    this.#state = state
    this.emit('state', state)
  }

  #complain(error: StreamHubError): void {
    if (error.message === this.#problem) return
    this.#problem = error.message
    this.emit('problem', error)
  }

  #tellSound(): void {
    const { muted, blocked, volume } = this.#sound
    const words = `${muted} ${blocked} ${volume}`
    if (words === this.#sounding) return
    this.#sounding = words
    this.emit('sound', { muted, blocked, volume })
  }

  // The browser's own controls on the video element.
  readonly #volume = (): void => {
    if (this.video.muted !== this.#sound.muted) this.#sound.setMuted(this.video.muted)
    else if (this.video.volume !== this.#sound.volume) this.#sound.setVolume(this.video.volume)
  }

  readonly #hlsFailed = (): void => {
    this.#hlsAgainAt = performance.now() + HLS_AGAIN_MS
    if (this.#source === 'hls') this.#use(null)
  }
}

const noted = (): void => {}

function putVideo(box: HTMLElement): HTMLVideoElement {
  const video = document.createElement('video')
  Object.assign(video.style, { display: 'block', width: '100%', height: '100%', objectFit: 'contain' })
  box.append(video)
  return video
}

/** Plays a room into a video element, or into a new one inside `element`. It begins at once and goes on until stop(). */
export const play = (element: HTMLElement, options: PlayOptions): Player => new Player(element, options)
