// What a state is called, and times as people say them.

const TRY_AGAIN = 'The page keeps trying by itself.';
const COMES_BACK = 'The picture comes back by itself.';

// look: colour of the badge and how the picture is dimmed.
export const STATES = {
  opening: { look: 'waiting', badge: 'Connecting', title: 'Connecting…' },
  live: { look: 'live', badge: 'Live' },
  stale: { look: 'stale', badge: 'Stale', title: 'No new picture', hint: COMES_BACK },
  offline: { look: 'offline', badge: 'Offline', title: 'Camera offline', hint: COMES_BACK },
  connecting: { look: 'waiting', badge: 'Connecting', title: 'Waiting for the first picture' },
  lost: { look: 'waiting', badge: 'Reconnecting', title: 'Connection lost', hint: TRY_AGAIN },
  mjpeg: { look: 'plain', badge: 'MJPEG' },
  hls: { look: 'plain', badge: 'HLS' },
  joining: { look: 'waiting', badge: 'Connecting', title: 'Connecting…' },
  mending: { look: 'waiting', badge: 'Reconnecting', title: 'Connection lost', hint: TRY_AGAIN },
  noMedia: {
    look: 'stale',
    badge: 'No media',
    title: 'No sound or picture arrives',
    hint: `Somebody is live by WebRTC, but nothing gets through from there to here. ${TRY_AGAIN}`,
  },
  cameraOnly: { look: 'partial', badge: 'Camera only' },
  gone: { look: 'offline', badge: 'Offline', title: 'Nobody is live', hint: COMES_BACK },
  absent: { look: 'offline', badge: 'Offline', title: 'Not live', hint: COMES_BACK },
  paused: { look: 'waiting', badge: 'Paused', title: 'Paused' },
};

const REFUSALS = {
  playback_unauthorized: ['Private', 'This camera is private', 'Open it by a link that carries a valid token.'],
  unknown_app: ['Gone', 'No such camera', 'Its app is not on this server any more.'],
  too_many_viewers: ['Full', 'Too many viewers', 'A place may become free: the page keeps trying.'],
};

export function refusalState(word) {
  const [badge, title, hint] = REFUSALS[word] || ['Refused', 'The server refused', word.replace(/_/g, ' ')];
  return { look: 'refused', badge, title, hint, retry: true };
}

export function clockTime(date, now) {
  const sameDay = date.toDateString() === now.toDateString();
  const time = { hour: '2-digit', minute: '2-digit' };
  if (now - date < 3600e3 && now - date >= 0) time.second = '2-digit';
  return date.toLocaleString([], sameDay ? time : { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
}

// To the second, and with the day unless it is today's: of a picture that is not live.
export function pictureTime(date, now) {
  const time = { hour: '2-digit', minute: '2-digit', second: '2-digit' };
  if (date.toDateString() === now.toDateString()) return date.toLocaleTimeString([], time);
  const day = { day: 'numeric', month: 'short' };
  if (date.getFullYear() !== now.getFullYear()) day.year = 'numeric';
  return date.toLocaleString([], { ...day, ...time });
}

const UNITS = [[86400, 'day'], [3600, 'hour'], [60, 'minute']];

export function ago(date, now) {
  const seconds = Math.max(0, Math.round((now - date) / 1000));
  for (const [size, name] of UNITS) {
    const count = Math.floor(seconds / size);
    if (count) return `${count} ${name}${count === 1 ? '' : 's'} ago`;
  }
  return seconds < 5 ? 'just now' : `${seconds} seconds ago`;
}

const two = (n) => String(n).padStart(2, '0');

// 20261123-094501, local time: sorts well in a folder.
export function fileStamp(date) {
  const day = [date.getFullYear(), two(date.getMonth() + 1), two(date.getDate())].join('');
  return `${day}-${[date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join('')}`;
}
