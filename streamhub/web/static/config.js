// What this page shows: from the attributes of its player element and the token in its own address.

export function readConfig(root, address) {
  const asked = new URLSearchParams(address.search);
  return {
    app: root.dataset.app,
    room: root.dataset.room,
    name: root.dataset.name,
    muted: root.dataset.muted === '1',
    token: asked.get('token'),
    participant: asked.get('participant') || null,
    origin: address.origin,
    // LiveKit's signalling comes through our own port, unless the server's settings name another address.
    rtcUrl: root.dataset.rtc || address.origin.replace(/^http/, 'ws'),
  };
}

export function socketUrl(config) {
  const url = new URL('/live/ws', config.origin);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  url.searchParams.set('app', config.app);
  url.searchParams.set('room', config.room);
  url.searchParams.set('pictures', 'camera'); // what is played otherwise need not be decoded for it
  return withToken(url, config);
}

export function mjpegUrl(config) {
  const path = [config.app, config.room].map(encodeURIComponent).join('/');
  const url = new URL(`/live/${path}/mjpeg`, config.origin);
  url.searchParams.set('t', Date.now());
  return withToken(url, config);
}

export function posterUrl(config, { overlay = true } = {}) {
  const path = [config.app, config.room].map(encodeURIComponent).join('/');
  const url = new URL(`/live/${path}/poster.jpg`, config.origin);
  if (!overlay) url.searchParams.set('overlay', '0');
  return withToken(url, config);
}

export function hlsUrl(config) {
  const path = [config.app, config.room].map(encodeURIComponent).join('/');
  return withToken(new URL(`/hls/${path}/index.m3u8`, config.origin), config);
}

function withToken(url, config) {
  if (config.token) url.searchParams.set('token', config.token);
  return url.href;
}
