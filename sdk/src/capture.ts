import { LocalAudioTrack, LocalVideoTrack, Track } from 'livekit-client'
import { deviceError, StreamHubError } from './errors.js'

/** What to take: true for the usual, false for none, constraints of getUserMedia, `'screen'` for the screen. */
export interface StreamHubMediaConstraints {
  video?: boolean | MediaTrackConstraints | 'screen'
  audio?: boolean | MediaTrackConstraints
}

export interface Captured {
  video: LocalVideoTrack | null
  audio: LocalAudioTrack | null
}

const VOICE: MediaTrackConstraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true }
const PICTURE: MediaTrackConstraints = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } }

const orUsual = (
  wanted: boolean | MediaTrackConstraints | undefined,
  usual: MediaTrackConstraints,
): MediaTrackConstraints | false => (wanted === true || wanted === undefined ? usual : wanted)

/** Opens camera and microphone with one question. Raises StreamHubError with what to do. */
export async function capture({ video, audio }: StreamHubMediaConstraints): Promise<Captured> {
  const sound = orUsual(audio, VOICE)
  const picture = video === 'screen' ? false : orUsual(video, PICTURE)
  const screen = video === 'screen' ? await captureScreen() : null
  if (!picture && !sound && !screen) {
    throw new StreamHubError('nothing_to_publish', 'neither video nor audio is asked for', { hint: 'Switch one of them on.' })
  }
  try {
    const stream = picture || sound ? await devices().getUserMedia({ video: picture, audio: sound }) : new MediaStream()
    const [seen] = stream.getVideoTracks()
    const [heard] = stream.getAudioTracks()
    return {
      video: screen ?? (seen ? cameraTrack(seen, picture || PICTURE) : null),
      audio: heard ? new LocalAudioTrack(heard, sound || VOICE, false) : null,
    }
  } catch (error) {
    screen?.stop()
    throw deviceError(error)
  }
}

/** The screen, a window or a tab, as the person chooses. It cannot be reopened without asking again. */
export async function captureScreen(): Promise<LocalVideoTrack> {
  try {
    const stream = await devices().getDisplayMedia({ video: true })
    const track = new LocalVideoTrack(stream.getVideoTracks()[0]!, undefined, true)
    track.source = Track.Source.ScreenShare
    return track
  } catch (error) {
    throw deviceError(error)
  }
}

function cameraTrack(track: MediaStreamTrack, constraints: MediaTrackConstraints): LocalVideoTrack {
  const made = new LocalVideoTrack(track, constraints, false)
  made.source = Track.Source.Camera
  return made
}

/** Cameras, microphones and loudspeakers. Their names are known once one was allowed. */
export const listDevices = (): Promise<MediaDeviceInfo[]> => devices().enumerateDevices()

/** Calls `changed` with the new list when a device comes or goes; returns what ends that. */
export function watchDevices(changed: (devices: MediaDeviceInfo[]) => void): () => void {
  const found = devices()
  const look = (): void => void found.enumerateDevices().then(changed, () => {})
  found.addEventListener('devicechange', look)
  return () => found.removeEventListener('devicechange', look)
}

function devices(): MediaDevices {
  const found = globalThis.navigator?.mediaDevices
  if (found) return found
  throw new StreamHubError('insecure_page', 'this page may not use cameras and microphones', {
    hint: 'Browsers allow them on https pages and on localhost only; in an iframe with allow="camera; microphone".',
  })
}
