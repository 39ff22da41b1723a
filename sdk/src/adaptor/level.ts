/** Calls `tell` with the loudness of a track, 0 to 1, every `everyMs`; returns what ends that. */
export function watchLevel(track: () => MediaStreamTrack | null, everyMs: number, tell: (level: number) => void): () => void {
  const context = new AudioContext()
  const analyser = context.createAnalyser()
  const samples = new Float32Array(analyser.fftSize)
  let source: MediaStreamAudioSourceNode | null = null
  let heard: MediaStreamTrack | null = null
  const timer = setInterval(() => {
    const now = track()
    if (now !== heard) {
      source?.disconnect()
      source = now ? context.createMediaStreamSource(new MediaStream([now])) : null
      source?.connect(analyser)
      heard = now
    }
    void context.resume()
    analyser.getFloatTimeDomainData(samples)
    tell(source ? Math.min(1, Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length)) : 0)
  }, everyMs)
  return () => {
    clearInterval(timer)
    void context.close()
  }
}
