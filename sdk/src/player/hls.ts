import { hlsUrl } from '#pages/config.js'
import { playHls } from '#pages/hls.js'
import { httpOrigin, type Place } from '../server.js'

/**
 * Plays the room by HLS, by hls.js, which the server has, or by the browser itself; `failed` is called once if it does
 * not play any more. Returns a function that ends it.
 */
export function startHls(video: HTMLVideoElement, place: Place, token: string | null, failed: () => void): () => void {
  const origin = httpOrigin(place.server)
  const url = hlsUrl({ origin, app: place.app, room: place.room, token })
  return playHls(video, url, { library: `${origin}/static/sdk/hls.js`, failed })
}

// Nothing new on the screen for so long: it does not play; and after so long it never will, this way.
const SILENCE_MS = 6000
const STUCK_MS = 20000

/** Whether a video goes on, told by its clock: an element also shows an old picture. Look twice a second. */
export class Progress {
  #at = 0
  #movedAt = performance.now()

  look(video: HTMLVideoElement): 'plays' | 'waits' | 'stuck' {
    const now = performance.now()
    if (video.currentTime !== this.#at && video.readyState >= 2) {
      this.#at = video.currentTime
      this.#movedAt = now
    }
    const silence = now - this.#movedAt
    if (silence > STUCK_MS && document.visibilityState !== 'hidden') return 'stuck'
    return this.#at > 0 && silence < SILENCE_MS ? 'plays' : 'waits'
  }
}
