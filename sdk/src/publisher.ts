import type * as livekit from 'livekit-client'
import { type Captured, capture, captureScreen, type StreamHubMediaConstraints } from './capture.js'
import { StreamHubError } from './errors.js'
import { Emitter } from './events.js'
import { type Access, accessOf, type TokenAnswer, wsOrigin } from './server.js'
import { type RemoteMedia, Session, type SessionEvents, type SessionState } from './session.js'

export interface PublishOptions extends StreamHubMediaConstraints {
  /** Asks your own backend for a join token, at each connection: `{token, wsUrl}`, or the token alone. */
  getToken?: () => Promise<TokenAnswer>
  /** Instead of getToken: a join token that lives long enough for reconnections. */
  token?: string
  /** LiveKit's signalling, if the answer of getToken does not name it. */
  wsUrl?: string
  /** The server, if neither names it. Default: this page's origin. */
  server?: string
  /** Shows one's own picture, mirrored by nobody. */
  preview?: HTMLVideoElement | null
  /** Most for the video, in kbit/s. */
  bitrate?: number
}

/** Publishing, until stop(). Also receives what the others in the room publish, if the token allows it. */
export class Publisher extends Emitter<SessionEvents> {
  /** @internal */
  readonly session: Session
  #camera: livekit.LocalVideoTrack | null = null
  #microphone: livekit.LocalAudioTrack | null = null
  #screen: livekit.LocalVideoTrack | null = null
  readonly #preview: HTMLVideoElement | null

  /** @internal Use publish(). */
  constructor(session: Session, preview: HTMLVideoElement | null) {
    super()
    this.session = session
    this.#preview = preview
    const names = ['state', 'participants', 'track', 'trackEnded', 'data', 'problem', 'closed'] as const
    for (const name of names) session.on(name, (...args: unknown[]) => this.emit(name, ...(args as SessionEvents[typeof name])))
  }

  get state(): SessionState {
    return this.session.state
  }

  /** Our own identity in the room. */
  get identity(): string {
    return this.session.identity
  }

  get participants(): string[] {
    return this.session.participants
  }

  /** What the others publish, as far as it is received now. */
  get media(): RemoteMedia[] {
    return this.session.media
  }

  /** LiveKit's own Room of the present connection; null between two. */
  get room(): livekit.Room | null {
    return this.session.room
  }

  get cameraOn(): boolean {
    return this.#camera !== null && !this.#camera.isMuted
  }

  get microphoneOn(): boolean {
    return this.#microphone !== null && !this.#microphone.isMuted
  }

  get screenOn(): boolean {
    return this.#screen !== null
  }

  /** @internal */
  async begin({ video, audio }: Captured, encoding: livekit.TrackPublishOptions): Promise<void> {
    this.#camera = video
    this.#microphone = audio
    if (video && this.#preview) video.attach(this.#preview)
    if (video) await this.session.addTrack(video, encoding)
    if (audio) await this.session.addTrack(audio)
  }

  /** Off: the others see that there is a camera, and no picture; its light goes out. */
  async setCamera(on: boolean): Promise<void> {
    await (on ? needed(this.#camera, 'camera').unmute() : this.#camera?.mute())
  }

  async setMicrophone(on: boolean): Promise<void> {
    await (on ? needed(this.#microphone, 'microphone').unmute() : this.#microphone?.mute())
  }

  /** Takes another camera or microphone of listDevices(). */
  async switchDevice(kind: 'videoinput' | 'audioinput', deviceId: string): Promise<void> {
    const track = kind === 'videoinput' ? needed(this.#camera, 'camera') : needed(this.#microphone, 'microphone')
    if (!(await track.setDeviceId({ exact: deviceId }))) {
      throw new StreamHubError('device_missing', 'the browser gave another device', { hint: 'Ask listDevices() again.' })
    }
  }

  /** Shares the screen beside the camera; ends by stopScreen() or the browser's own button. */
  async shareScreen(): Promise<void> {
    if (this.#screen) return
    const track = await captureScreen()
    this.#screen = track
    track.mediaStreamTrack.addEventListener('ended', () => void this.stopScreen())
    await this.session.addTrack(track)
  }

  async stopScreen(): Promise<void> {
    const track = this.#screen
    this.#screen = null
    if (track) await this.session.removeTrack(track)
  }

  /** Sends text, bytes, or anything JSON can hold to all others, or to the identities in `to`. */
  send(data: unknown, how: { topic?: string; to?: string[]; reliable?: boolean } = {}): Promise<void> {
    return this.session.send(data, how)
  }

  /** Leaves the room and lets go of the devices. */
  stop(): void {
    if (this.#preview) this.#camera?.detach(this.#preview)
    this.session.close()
  }
}

/** Publishes camera and microphone. Rejects with StreamHubError if a device, the token or the server says no. */
export async function publish(options: PublishOptions): Promise<Publisher> {
  const session = new Session({ ask: () => askToken(options) })
  const publisher = new Publisher(session, options.preview ?? null)
  const captured = await capture(options)
  try {
    await session.open()
    await publisher.begin(captured, encodingOf(options.bitrate))
  } catch (error) {
    captured.video?.stop()
    captured.audio?.stop()
    publisher.stop()
    throw error
  }
  return publisher
}

export const encodingOf = (kbits: number | null | undefined): livekit.TrackPublishOptions =>
  kbits ? { videoEncoding: { maxBitrate: kbits * 1000, maxFramerate: 30 } } : {}

export async function askToken({ getToken, token, wsUrl, server }: PublishOptions): Promise<Access> {
  if (getToken) return accessOf(await getToken(), server, wsUrl)
  if (token) return { token, wsUrl: wsUrl ?? wsOrigin(server) }
  throw new StreamHubError('no_token', 'there is no join token', {
    hint: 'Give getToken, which asks your own backend for {token, wsUrl}.',
  })
}

function needed<T>(track: T | null, what: string): T {
  if (track) return track
  throw new StreamHubError('device_missing', `no ${what} was published`, { hint: `Publish with a ${what}.` })
}
