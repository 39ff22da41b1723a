// What to call what is seen: from the server's word, the camera's state and what arrives by WebRTC.

import { STATES, refusalState } from './words.js';

// told: the server's last word (link.js) or null; socket: the viewer socket is opening, up or down; camera: the one
// shown here or null; seen: viewing.state(); fellBack: pictures come over HTTP; hls: it plays by HLS; participant: the only one to show, or
// null. Returns [state of words.js, since or null].
export function wordsFor({ told, socket, camera, seen, fellBack, hls, participant }) {
  const since = socket === 'up' ? told.since : null;
  if (seen.playing) return [STATES.live, socket === 'up' && told.state === 'live' ? since : null];
  if (fellBack) return [STATES.mjpeg, null];
  if (hls) return [STATES.hls, null];
  if (camera && camera.state === 'live') return [seen.failed ? STATES.cameraOnly : STATES.live, since];
  if (socket !== 'up') return [socket === 'down' ? STATES.lost : STATES.opening, null];
  if (seen.refused) return [refusalState(seen.refused), null];
  if (seen.wanted || seen.people) return [waitingFor(seen, participant), null];
  if (camera) return [STATES[camera.state] || STATES.connecting, since];
  if (participant !== null && (told.camera || told.publishers)) return [absent(participant), null];
  if (told.state === 'live') return [STATES.joining, null]; // by neither of the two
  return [seen.ever ? STATES.gone : STATES[told.state === 'ended' ? 'offline' : told.state] || STATES.connecting, since];
}

function waitingFor(seen, participant) {
  if (seen.absent) return absent(participant);
  if (seen.failed) return seen.reached ? STATES.noMedia : STATES.mending;
  return seen.played ? STATES.mending : STATES.joining;
}

const absent = (participant) => ({ ...STATES.absent, title: `${participant} is not live` });
