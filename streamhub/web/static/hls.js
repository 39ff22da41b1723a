// HLS in a video element: by hls.js, fetched then, or by the browser itself where that is Apple's or knows no other way.

// How many segments behind the live end it plays, and from how many on it jumps back there.
const BEHIND = 3;
const MOST_BEHIND = 10;

// Chromium plays HLS by itself too, but cannot parse a list that has just begun, and stops at discontinuities.
const trusted = () => 'WebKitPlaybackTargetAvailabilityEvent' in globalThis || !('MediaSource' in globalThis);

let loading = null;
let failures = 0;

function load(library) {
  if (!loading) {
    // Browsers remember a failed import by its address.
    const address = failures ? `${library}?again=${failures}` : library;
    loading = import(/* webpackIgnore: true */ /* @vite-ignore */ address).then((module) => module.default);
    loading.catch(() => {
      failures += 1;
      loading = null;
    });
  }
  return loading;
}

// `library`: where hls.js is. `failed(status)`: once, when it does not play any more; status is that of HTTP, or 0.
// Returns a function that ends it in silence and empties the element.
export function playHls(video, url, { library, failed }) {
  let hls = null;
  let over = false;

  function stop() {
    if (over) return;
    over = true;
    video.removeEventListener('error', broken);
    if (hls) hls.destroy();
    video.removeAttribute('src');
    video.load();
  }
  function fail(status) {
    if (over) return;
    stop();
    failed(status);
  }
  const broken = () => fail(0);

  async function begin() {
    const Hls = await load(library);
    if (over) return;
    if (!Hls.isSupported()) throw new Error('no Media Source Extensions');
    hls = new Hls({
      enableWorker: false, // The page's policy allows no script from a blob.
      lowLatencyMode: true,
      backBufferLength: 10,
      liveSyncDurationCount: BEHIND,
      liveMaxLatencyDurationCount: MOST_BEHIND,
    });
    let mended = false;
    hls.on(Hls.Events.ERROR, (_name, error) => {
      if (!error.fatal) return;
      if (error.type === Hls.ErrorTypes.MEDIA_ERROR && !mended) {
        mended = true;
        hls.recoverMediaError();
      } else fail((error.response && error.response.code) || 0);
    });
    hls.on(Hls.Events.MANIFEST_PARSED, () => {
      // Where the list lies elsewhere we are sent there each time: so that the server sees that somebody watches.
      if (hls.levels.length === 1) hls.levels[0].url[0] = url;
    });
    hls.loadSource(url);
    hls.attachMedia(video);
  }

  if (trusted() && video.canPlayType('application/vnd.apple.mpegurl')) {
    video.addEventListener('error', broken);
    video.src = url;
  } else begin().catch(broken);
  return stop;
}
