import { setLogLevel } from 'livekit-client'
import { capture, captureScreen, listDevices, type StreamHubMediaConstraints, watchDevices } from '../capture.js'
import { asError, StreamHubError } from '../errors.js'
import { encodingOf } from '../publisher.js'
import { warnOfApiToken } from '../server.js'
import { type RemoteMedia, Session, type SessionState } from '../session.js'
import { watchLevel } from './level.js'
import { accessFor, elementOf, type Need, type StreamHubAdaptorConfig } from './options.js'
import { watchStats } from './stats.js'
import { CLOSED, describe, ICE_STATES, isPlayed, madeUpName, type Stay } from './stay.js'

type Failure = 'joinRoomError' | 'publishError' | 'playError' | 'screenShareError'

/**
 * AntMedia's `WebRTCAdaptor` on LiveKit: the same calls, events by `callback(info, obj)`, failures by
 * `callbackError(error, message)`. Its promises settle when the work is done and never reject.
 */
export class StreamHubAdaptor {
  static pluginInitMethods: unknown[] = []

  readonly config: StreamHubAdaptorConfig
  mediaConstraints: StreamHubMediaConstraints
  localVideoElement: HTMLVideoElement | null
  remoteVideoElement: HTMLVideoElement | null
  isPlayMode: boolean
  /** By stream id: the state of the connection it goes over. LiveKit's client keeps the RTCPeerConnections to itself. */
  readonly remotePeerConnection: Record<string, { readonly iceConnectionState: string }> = {}
  readonly mediaManager: { bandwidth: number; getDevices(): Promise<MediaDeviceInfo[]> }

  readonly #stays = new Map<string, Stay>()
  readonly #ends = new Map<string, () => void>() // what goes on besides: statistics, levels, devices

  constructor(config: StreamHubAdaptorConfig) {
    this.config = config
    this.mediaConstraints = config.mediaConstraints ?? { video: true, audio: true }
    this.localVideoElement = elementOf(config.localVideoElement, config.localVideoId)
    this.remoteVideoElement = elementOf(config.remoteVideoElement, config.remoteVideoId)
    this.isPlayMode = Boolean(config.isPlayMode || config.playOnly)
    this.mediaManager = {
      bandwidth: config.bandwidth ?? USUAL_KBITS,
      getDevices: async () => {
        const found = await listDevices()
        this.#tell('available_devices', found)
        return found
      },
    }
    if (config.debug) setLogLevel('debug')
    warnOfApiToken(config.streamhubApiToken)
    queueMicrotask(() => this.#tell('initialized'))
  }

  /** Joins a room to publish and receive. `joinedTheRoom` follows, then `newStreamAvailable` for each track. */
  joinRoom(room: string, streamId?: string | null, _mode?: string): Promise<void> {
    return this.#try('joinRoomError', async () => {
      const identity = streamId || madeUpName('user')
      const stay = await this.#enter({ room, identity, canPublish: !this.isPlayMode })
      stay.joined = true
      stay.session.receive()
      this.#tell('joinedTheRoom', describe(stay))
      for (const media of stay.session.media) this.#arrived(stay, media)
    })
  }

  /** Publishes under this id: into the room joined or named by `mainTrack`, else into one of the same name. */
  publish(
    streamId: string,
    token?: string | null,
    _subscriberId?: string,
    _subscriberCode?: string,
    streamName?: string,
    mainTrack?: string | null,
    _metaData?: unknown,
    _role?: string,
  ): Promise<void> {
    return this.#try('publishError', async () => {
      if (this.isPlayMode) throw new StreamHubError('play_only', 'this adaptor only plays', { hint: 'Create it without isPlayMode and playOnly.' })
      const joined = [...this.#stays.values()].find(stay => stay.joined && (!mainTrack || mainTrack === stay.room))
      const captured = await capture(this.mediaConstraints)
      try {
        const need = { room: mainTrack || streamId, identity: streamId, canPublish: true, name: streamName, token }
        const stay = joined ?? (await this.#enter(need))
        if (captured.video && this.localVideoElement) captured.video.attach(this.localVideoElement)
        stay.publishing = { ...captured, id: streamId }
        if (captured.video) await stay.session.addTrack(captured.video, this.#encoding())
        if (captured.audio) await stay.session.addTrack(captured.audio)
        this.#tell('publish_started', { streamId })
      } catch (error) {
        captured.video?.stop()
        captured.audio?.stop()
        throw error
      }
      this.#end('devices')
      this.#ends.set('devices', watchDevices(found => this.#tell('available_devices', found)))
      await this.mediaManager.getDevices()
    })
  }

  /** Plays a stream: the room of that name, or one participant of `roomId`. `play_started` comes with its first track. */
  play(streamId: string, token?: string | null, roomId?: string | null, ..._more: unknown[]): Promise<void> {
    return this.#try('playError', async () => {
      const known = [...this.#stays.values()].find(stay => stay.joined && stay.session.participants.includes(streamId))
      const room = roomId || known?.room || streamId
      const stay = await this.#enter({ room, identity: madeUpName('viewer'), canPublish: false, token })
      stay.plays.set(streamId, false)
      stay.session.receive()
      for (const media of stay.session.media) this.#arrived(stay, media)
    })
  }

  /** Stops publishing and playing this id, or everything. */
  async stop(streamId?: string | null): Promise<void> {
    for (const stay of [...this.#stays.values()]) {
      if (stay.publishing && (!streamId || streamId === stay.publishing.id)) await this.#unpublish(stay)
      for (const id of [...stay.plays.keys()]) if (!streamId || id === streamId) this.#finishPlay(stay, id)
      if (!stay.joined && !stay.publishing && !stay.plays.size) stay.session.close()
    }
  }

  /** Leaves this room, or all. */
  async leaveFromRoom(room?: string | null): Promise<void> {
    for (const stay of [...this.#stays.values()]) if (!room || room === stay.room) stay.session.close()
  }

  /** Leaves everything; `closed` follows. */
  closeWebSocket(): void {
    for (const stay of [...this.#stays.values()]) stay.session.close()
    for (const what of [...this.#ends.keys()]) this.#end(what)
    this.#tell('closed')
  }

  /** Sends text, bytes or JSON to the others of the room that the stream is in. */
  async sendData(streamId: string, data: unknown): Promise<void> {
    const stay = this.#of(streamId)
    try {
      if (!stay) throw new StreamHubError('not_connected', `nothing is connected for '${streamId}'`, { hint: 'Join, publish or play first.' })
      await stay.session.send(data)
    } catch (error) {
      this.#fail(stay?.publishing ? 'publishError' : 'playError', error)
    }
  }

  turnOffLocalCamera = (streamId?: string): Promise<void> => this.#local(streamId, stay => stay.publishing?.video?.mute())
  turnOnLocalCamera = (streamId?: string): Promise<void> => this.#local(streamId, stay => stay.publishing?.video?.unmute())
  muteLocalMic = (streamId?: string): Promise<void> => this.#local(streamId, stay => stay.publishing?.audio?.mute())
  unmuteLocalMic = (streamId?: string): Promise<void> => this.#local(streamId, stay => stay.publishing?.audio?.unmute())

  /** Takes the camera of that id, or the next one. */
  switchVideoCameraCapture(streamId: string, deviceId?: string): Promise<void> {
    return this.#local(streamId, async ({ publishing }) => {
      const cameras = (await listDevices()).filter(device => device.kind === 'videoinput')
      const at = cameras.findIndex(device => device.deviceId === publishing?.video?.mediaStreamTrack.getSettings().deviceId)
      const next = deviceId ?? cameras[(at + 1) % cameras.length]?.deviceId
      if (next) await publishing?.video?.setDeviceId({ exact: next })
    })
  }

  switchAudioInputSource(streamId: string, deviceId: string): Promise<void> {
    return this.#local(streamId, async ({ publishing }) => {
      await publishing?.audio?.setDeviceId({ exact: deviceId })
    })
  }

  /** Sends the screen instead of the camera, until stopDesktopCapture() or the browser's own button. */
  switchDesktopCapture(streamId: string): Promise<void> {
    return this.#try('screenShareError', async () => {
      const video = this.#of(streamId)?.publishing?.video
      if (!video) throw new StreamHubError('not_publishing', `no video is published as '${streamId}'`, { hint: 'Publish with video first.' })
      const camera = video.mediaStreamTrack
      const { mediaStreamTrack: screen } = await captureScreen()
      await video.replaceTrack(screen, true)
      this.#ends.set(`screen ${streamId}`, () => {
        // The camera went on meanwhile. The exchange stops the screen's track; after stop() there is nothing to exchange.
        if (this.#of(streamId)?.publishing?.video !== video) camera.stop()
        else void video.replaceTrack(camera, false).then(() => (video.isMuted ? video.unmute() : video))
        this.#tell('screen_share_stopped', { streamId })
      })
      screen.addEventListener('ended', () => this.stopDesktopCapture(streamId))
      this.#tell('screen_share_started', { streamId })
    })
  }

  /** Sends the camera again. */
  stopDesktopCapture(streamId: string): void {
    this.#end(`screen ${streamId}`)
  }

  /** `updated_stats` every two seconds. */
  enableStats(streamId: string): void {
    this.disableStats(streamId)
    const end = watchStats(streamId, () => this.#of(streamId)?.session.room ?? null, stats => this.#tell('updated_stats', stats))
    this.#ends.set(`stats ${streamId}`, end)
  }

  disableStats(streamId: string): void {
    this.#end(`stats ${streamId}`)
  }

  /** The microphone's loudness, 0 to 1, to `levelCallback` and as `updated_audio_level`. */
  enableAudioLevelForLocalStream(levelCallback?: (level: number) => void, periodMs = 1000): void {
    this.#end('level')
    const track = (): MediaStreamTrack | null => this.#of()?.publishing?.audio?.mediaStreamTrack ?? null
    const end = watchLevel(track, periodMs, audioLevel => {
      levelCallback?.(audioLevel)
      this.#tell('updated_audio_level', { audioLevel })
    })
    this.#ends.set('level', end)
  }

  /** Who is in the room; also as `roomInformation`. */
  getRoomInfo(room?: string, _streamId?: string): Record<string, unknown> | null {
    const stay = room ? this.#stays.get(room) : this.#of()
    const found = stay ? describe(stay) : null
    if (found) this.#tell('roomInformation', found)
    return found
  }

  getDebugInfo(streamId?: string): void {
    const stays = [...this.#stays.values()].filter(stay => !streamId || this.#ids(stay).includes(streamId))
    const rooms = stays.map(stay => ({ ...describe(stay), state: stay.session.state, plays: [...stay.plays.keys()] }))
    this.#tell('debugInfo', { streamId, rooms, debugInfo: JSON.stringify(rooms) })
  }

  /** New constraints for the camera, now and for what is published later: `(constraints)` or `(streamId, constraints)`. */
  applyConstraints(...given: [MediaTrackConstraints] | [string, MediaTrackConstraints]): Promise<void> {
    const constraints = given[given.length - 1] as MediaTrackConstraints
    this.mediaConstraints = { ...this.mediaConstraints, video: constraints }
    const streamId = given.length > 1 ? (given[0] as string) : undefined
    if (!this.#of(streamId)?.publishing) return Promise.resolve()
    return this.#local(streamId, stay => stay.publishing?.video?.mediaStreamTrack.applyConstraints(constraints))
  }

  iceConnectionState(streamId: string): string {
    const stay = this.#of(streamId)
    return stay ? ICE_STATES[stay.session.state] : 'new'
  }

  /** Whether a participant's picture is received: `trackId` as in `newStreamAvailable`, or the identity. */
  assignVideoTrack(trackId: string, _streamId: string, enable: boolean): void {
    const identity = trackId.replace(/^ARDAMSx/, '')
    for (const { session } of this.#stays.values()) {
      const found = session.room?.remoteParticipants.get(identity)
      for (const publication of found?.videoTrackPublications.values() ?? []) publication.setEnabled(enable)
    }
  }

  // Without meaning here: LiveKit sends every subscriber what it has room for.
  setMaxVideoTrackCount(..._given: unknown[]): void {}
  updateAudioLevel(..._given: unknown[]): void {}
  enableEffect(..._given: unknown[]): void {}
  setBackgroundImage(..._given: unknown[]): void {}

  async #enter(need: Need): Promise<Stay> {
    const found = this.#stays.get(need.room)
    if (found && (found.canPublish || !need.canPublish)) return found
    const plays = [...(found?.plays.keys() ?? [])] // go on when publishing joins in
    found?.session.close()
    const session = new Session({ ask: () => accessFor(this.config, need), autoSubscribe: false })
    const stay: Stay = { ...need, session, joined: false, publishing: null, plays: new Map(plays.map(id => [id, false])) }
    if (plays.length) session.receive()
    session.on('state', state => this.#stateChanged(stay, state))
    session.on('track', media => this.#arrived(stay, media))
    session.on('trackEnded', media => this.#left(stay, media))
    session.on('participants', () => stay.joined && this.#tell('roomInformation', describe(stay)))
    session.on('data', ({ from, data, topic }) => {
      if (this.config.dataChannelEnabled !== false) this.#tell('data_received', { streamId: from, data, topic, event: { data } })
    })
    session.on('problem', error => {
      if (this.config.debug || error.code !== 'unreachable') this.#fail(stay.publishing ? 'publishError' : 'playError', error)
    })
    this.#stays.set(need.room, stay)
    try {
      await session.open()
    } catch (error) {
      this.#forget(stay)
      throw error
    }
    session.on('closed', reason => this.#closed(stay, reason))
    return stay
  }

  #stateChanged(stay: Stay, state: SessionState): void {
    for (const id of this.#ids(stay)) this.remotePeerConnection[id] = { iceConnectionState: ICE_STATES[state] }
    this.#tell('ice_connection_state_changed', { state: ICE_STATES[state], streamId: stay.identity })
    if (state !== 'connected') return
    this.#tell('session_restored', { streamId: stay.identity })
    if (this.config.dataChannelEnabled !== false) this.#tell('data_channel_opened', { streamId: stay.identity })
  }

  #arrived(stay: Stay, media: RemoteMedia): void {
    const plays = [...stay.plays.keys()].filter(id => isPlayed(stay, id, media))
    if (!plays.length && !stay.joined) return
    for (const id of plays) {
      if (stay.plays.get(id)) continue
      stay.plays.set(id, true)
      this.#tell('play_started', { streamId: id })
    }
    if (plays.length && this.remoteVideoElement && this.remoteVideoElement.srcObject !== media.stream) {
      this.remoteVideoElement.srcObject = media.stream
      this.remoteVideoElement.autoplay = true
    }
    this.#tell('newStreamAvailable', {
      trackId: `ARDAMSx${media.identity}`,
      track: media.track,
      streamId: plays[0] ?? media.identity,
      stream: media.stream,
      streamName: media.name,
    })
  }

  #left(stay: Stay, media: RemoteMedia): void {
    for (const [id, playing] of stay.plays) {
      if (!playing || stay.session.media.some(other => isPlayed(stay, id, other)) || !isPlayed(stay, id, media)) continue
      stay.plays.set(id, false)
      this.#tell('play_finished', { streamId: id })
    }
  }

  #finishPlay(stay: Stay, id: string): void {
    const playing = stay.plays.get(id)
    stay.plays.delete(id)
    delete this.remotePeerConnection[id]
    if (this.remoteVideoElement && !stay.plays.size) this.remoteVideoElement.srcObject = null
    if (playing) this.#tell('play_finished', { streamId: id })
  }

  async #unpublish(stay: Stay): Promise<void> {
    if (!stay.publishing) return
    const { video, audio, id } = stay.publishing
    stay.publishing = null
    this.#end(`screen ${id}`)
    if (this.localVideoElement) video?.detach(this.localVideoElement)
    for (const track of [video, audio]) if (track) await stay.session.removeTrack(track)
    this.#tell('publish_finished', { streamId: id })
  }

  #closed(stay: Stay, reason: string): void {
    if (reason !== 'left') this.#fail(stay.publishing ? 'publishError' : 'playError', new StreamHubError(reason, CLOSED[reason] ?? reason))
    for (const id of [...stay.plays.keys()]) this.#finishPlay(stay, id)
    void this.#unpublish(stay)
    this.#forget(stay)
    if (stay.joined) this.#tell('leavedFromRoom', { ATTR_ROOM_NAME: stay.room, streamId: stay.identity })
  }

  #forget(stay: Stay): void {
    if (this.#stays.get(stay.room) === stay) this.#stays.delete(stay.room)
    for (const id of this.#ids(stay)) delete this.remotePeerConnection[id]
  }

  #end(what: string): void {
    this.#ends.get(what)?.()
    this.#ends.delete(what)
  }

  #encoding(): ReturnType<typeof encodingOf> {
    const { bandwidth } = this.mediaManager
    return encodingOf(this.config.bandwidth || bandwidth !== USUAL_KBITS ? bandwidth : null)
  }

  #ids = (stay: Stay): string[] => [stay.publishing?.id ?? stay.identity, ...stay.plays.keys()]

  // The stay that an id belongs to; without one, where something is published, else any.
  #of(streamId?: string | null): Stay | undefined {
    const all = [...this.#stays.values()]
    if (!streamId) return all.find(stay => stay.publishing) ?? all[0]
    return all.find(stay => this.#ids(stay).includes(streamId)) ?? this.#stays.get(streamId)
  }

  #local(streamId: string | undefined, act: (stay: Stay) => unknown): Promise<void> {
    return this.#try('publishError', async () => {
      const stay = this.#of(streamId)
      if (!stay?.publishing) throw new StreamHubError('not_publishing', 'nothing is published', { hint: 'Call publish() first.' })
      await act(stay)
    })
  }

  async #try(failure: Failure, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      this.#fail(failure, error)
    }
  }

  #fail(failure: Failure, error: unknown): void {
    const { message } = asError(error)
    if (this.config.debug) console.error(`streamhub-adaptor: ${failure}`, error)
    ;(this.config.callbackError ?? this.config.callback_error)?.(failure, message)
  }

  #tell(info: string, obj?: unknown): void {
    this.config.callback?.(info, obj)
  }
}

// What AntMedia's adaptor starts with; it limits nothing here until somebody changes it.
const USUAL_KBITS = 900
