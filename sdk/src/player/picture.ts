import { createLink, type Told } from '#pages/link.js'
import { mjpegUrl, socketUrl } from '#pages/config.js'
import { readMjpeg } from '#pages/mjpeg.js'
import { createPainter } from '#pages/painter.js'
import { httpOrigin, type Place } from '../server.js'

const PICTURED = new Set(['live', 'stale'])

/** The room's pictures over the viewer socket, over plain HTTP where sockets are blocked; and the server's word. */
export interface Pictures {
  /** The server's last word; null while it has none to say. */
  readonly told: Told | null
  /** Why the server refuses; null if it does not. */
  readonly refused: string | null
  /** Pictures of a camera are coming. */
  readonly playing: boolean
  readonly canvas: HTMLCanvasElement
  start(): void
  restart(): void
  stop(): void
}

export function createPictures(place: Place, token: () => string | null, changed: () => void): Pictures {
  const canvas = document.createElement('canvas')
  const painter = createPainter(canvas, () => {
    if (drawn) return
    drawn = true
    changed()
  })
  const config = (): { origin: string; app: string; room: string; token: string | null } => ({
    origin: httpOrigin(place.server),
    app: place.app,
    room: place.room,
    token: token(),
  })
  let told: Told | null = null
  let refused: string | null = null
  let drawn = false
  let plain: (() => void) | null = null // ends the reading over HTTP
  let arriving = false // over HTTP

  const link = createLink(() => socketUrl(config()), {
    open: stopPlain,
    state(word) {
      told = word
      refused = null
      if (!pictured()) quiet()
      changed()
    },
    frame(jpeg) {
      if (pictured()) painter.push(jpeg)
    },
    down() {
      told = refused = null
      if (!plain) quiet()
      changed()
    },
    refused(word) {
      told = null
      refused = word
      stopPlain()
      quiet()
      changed()
    },
    blocked() {
      plain ??= readMjpeg(mjpegUrl(config()), {
        frame(jpeg) {
          arriving = true
          link.relax(true)
          painter.push(jpeg)
        },
        end() {
          stopPlain()
          quiet()
          changed()
        },
      })
    },
  })

  function stopPlain(): void {
    plain?.()
    plain = null
    arriving = false
    link.relax(false)
  }

  function quiet(): void {
    painter.forget()
    drawn = false
  }

  const pictured = (): boolean => told?.camera != null && PICTURED.has(told.camera.state)

  return {
    canvas,
    get told() {
      return told
    },
    get refused() {
      return refused
    },
    get playing() {
      return drawn && (pictured() || arriving)
    },
    start: () => link.start(),
    restart: () => link.restart(),
    stop() {
      stopPlain()
      link.stop()
      quiet()
      told = refused = null
    },
  }
}
