// How loud a microphone is, drawn into an element's --level (0 to 1).

const EVERY_MS = 60;
const QUIETEST_DB = -60;

export function createMeter(element) {
  let context = null;
  let source = null;
  let analyser = null;
  let timer = 0;
  let shown = 0;

  // A page may make sound, and count as a listener, after the first tap only; until then there is no level to see.
  function ready() {
    if (context.state === 'suspended') context.resume().catch(() => {});
  }

  function draw() {
    element.toggleAttribute('data-asleep', context.state !== 'running');
    const samples = new Float32Array(analyser.fftSize);
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, one) => sum + one * one, 0) / samples.length;
    const level = Math.min(1, Math.max(0, 1 - (10 * Math.log10(power || 1e-9)) / QUIETEST_DB));
    shown = Math.max(level, shown * 0.8);
    show(shown);
  }

  function show(level) {
    element.style.setProperty('--level', level.toFixed(2));
    element.setAttribute('aria-valuenow', Math.round(level * 100));
  }

  return {
    // Measures this MediaStreamTrack from now on; null: none.
    watch(track) {
      clearInterval(timer);
      if (source) source.disconnect();
      source = null;
      shown = 0;
      show(0);
      element.toggleAttribute('data-off', !track);
      if (!track || !window.AudioContext) return;
      if (!context) {
        context = new AudioContext();
        analyser = context.createAnalyser();
        analyser.fftSize = 1024;
        for (const name of ['pointerdown', 'keydown']) document.addEventListener(name, ready);
      }
      ready();
      source = context.createMediaStreamSource(new MediaStream([track]));
      source.connect(analyser);
      timer = setInterval(draw, EVERY_MS);
    },
  };
}
