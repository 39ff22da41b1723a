import { posterUrl } from '#pages/config.js'
import { fetchPoster } from '#pages/poster.js'
import { httpOrigin, type Place } from '../server.js'

/** The room's last picture, its date written into it, as the poster of a video element that has none of its own. */
export interface LastPicture {
  /** When the picture was taken that the element shows before it plays; null: there is none. */
  readonly takenAt: Date | null
  /** Asks for the newest, at most once for each `occasion`. */
  renew(occasion: object, token: string | null): void
  forget(): void
}

export function createLastPicture(video: HTMLVideoElement, place: Place): LastPicture {
  const theirs = video.hasAttribute('poster')
  let asked: object | null = null
  let kept: { at: number; address: string } | null = null

  function keep(found: { blob: Blob; at: number } | null): void {
    if (kept) URL.revokeObjectURL(kept.address)
    kept = found && { at: found.at, address: URL.createObjectURL(found.blob) }
    if (kept) video.poster = kept.address
    else video.removeAttribute('poster')
  }

  return {
    get takenAt() {
      return kept && new Date(kept.at)
    },
    renew(occasion, token) {
      if (theirs || occasion === asked) return
      asked = occasion
      const origin = httpOrigin(place.server)
      const url = posterUrl({ origin, app: place.app, room: place.room, token })
      void fetchPoster(url).then(found => {
        if (found && occasion === asked) keep(found)
      })
    },
    forget() {
      asked = null
      if (kept) keep(null)
    },
  }
}
