// What the studio says when something stands in the way: title, text, and what to do about it.

export const KINDS = { camera: 'camera', microphone: 'microphone', screen: 'screen' };

const CAPITAL = { camera: 'Camera', microphone: 'Microphone', screen: 'Screen' };

// A token that cannot be used, before or after the server was asked. `ticket`: what it says, if anything.
export function tokenWords(word, { ticket, token, app, problem } = {}) {
  if (word === 'unreadable') return unreadable(token);
  const words = {
    other_room: {
      title: 'This token is for another room',
      text: `It opens the room “${ticket && ticket.room}”.`,
      hint: `Open /studio/${app}/${ticket && ticket.room} with it, or ask for a token for this room.`,
    },
    expired: {
      title: 'This token has expired',
      text: ticket && Number.isFinite(ticket.expiresAt) ? `It could be used until ${moment(ticket.expiresAt)}.` : '',
      hint: 'Ask whoever sent you here for a new link. If the server is yours: streamhub tokens join makes one.',
    },
    invalid: {
      title: 'The server does not accept this token',
      text: 'It was made by another server, or with keys that are no longer in use, or it has been altered.',
      hint: 'Ask for a new link. If the server is yours: streamhub tokens join makes one.',
    },
    no_livekit: {
      title: 'This server cannot do WebRTC yet',
      text: (problem && problem.message) || 'It has no livekit-server.',
      hint: (problem && problem.hint) || '',
    },
  };
  return words[word] || { title: 'The server refused', text: String(word).replace(/_/g, ' '), hint: '' };
}

function unreadable(token) {
  if (/^sk_/.test(token)) {
    return {
      title: 'That is an API token',
      text: 'It can do much more than join a room: do not paste it into pages, and do not send it to anybody.',
      hint: 'Mint a join token with it, as shown below, and paste that.',
    };
  }
  if (/^wsk_/.test(token)) {
    return { title: 'That is a camera’s key', text: 'A person joins with a join token.', hint: 'It is made as shown below.' };
  }
  return {
    title: 'That is not a join token',
    text: 'A join token is a long text of three parts with dots between them and begins with “eyJ”.',
    hint: 'Copy all of it, or the whole link.',
  };
}

const CLICK_ALLOW =
  'Click the symbol left of the address (a camera, a lock or two sliders), allow it there, and try again.';

// Why a camera, a microphone or a screen could not be opened, from the browser's error. `gone`: its name, if it was in use.
export function deviceWords(kind, error) {
  const what = KINDS[kind];
  const name = error && error.name;
  if (name === 'NotAllowedError' && /system/i.test(error.message)) {
    return `The operating system keeps the ${what} from this browser. Allow it in the system’s privacy settings, then try again.`;
  }
  if (name === 'NotAllowedError' || name === 'SecurityError') return `The browser may not use your ${what}. ${CLICK_ALLOW}`;
  if (name === 'NotFoundError' || name === 'OverconstrainedError') {
    return `There is no ${what}. Plug one in, then try again.`;
  }
  if (name === 'NotReadableError' || name === 'AbortError') {
    return `The ${what} does not start. Another program may be using it: close that one, then try again.`;
  }
  return `${CAPITAL[kind]}: ${(error && error.message) || 'it cannot be opened'}.`;
}

export function goneWords(kind, gone, now) {
  const lost = `${CAPITAL[kind]} “${gone || 'unknown'}” was unplugged or has stopped`;
  return now ? `${lost}: now using “${now}”.` : `${lost}. Plug it in, or choose another one under Devices.`;
}

// Why LiveKit ended the stay, if it is not to be taken up again by itself.
export const ENDINGS = {
  DUPLICATE_IDENTITY: {
    title: 'You joined in another window',
    text: 'Somebody came in with the same token, in another tab or on another device, and took this place. This page leaves it to them.',
    hint: 'To have both, use a token of its own for each.',
  },
  PARTICIPANT_REMOVED: {
    title: 'You were taken out of the room',
    text: 'Somebody who manages this server ended your stay.',
    hint: '',
  },
  ROOM_DELETED: { title: 'The room was closed', text: 'Somebody who manages this server closed it.', hint: '' },
  LEFT: { title: 'You have left the room', text: 'Camera and microphone are off.', hint: '' },
};

// Before there is a room to enter.
export const GATES = {
  insecure: {
    title: 'Your browser keeps camera and microphone from this page',
    text: 'It gives them only to pages that come over https, or from localhost: on the way here nothing is encrypted, and anybody on the network could change what the page does.',
  },
  no_webrtc: {
    title: 'This browser cannot do WebRTC',
    text: 'It is too old, or WebRTC is switched off in it.',
    hint: 'Open this page in a current Chrome, Edge, Firefox or Safari.',
  },
  no_devices: {
    title: 'This browser gives no page a camera or microphone',
    text: 'Browsers inside of other apps often do not.',
    hint: 'Copy the link and open it in Chrome, Edge, Firefox or Safari itself.',
  },
  no_token: { title: 'Enter the studio', text: 'Here you go live with camera, microphone or screen, and see and hear everybody in the room.' },
  unreachable: { title: 'The server does not answer', text: '', hint: 'The page tries again every few seconds.' },
  no_client: {
    title: 'Part of this page is missing',
    text: '',
    hint: 'If the server is yours and runs from a checkout: scripts/sdk builds it; then start the server again.',
  },
};

// Look of the badge and its word, by the phase of the link.
export const PHASES = {
  connecting: ['waiting', 'Connecting'],
  connected: ['live', 'Live'],
  watching: ['plain', 'Watching'],
  reconnecting: ['waiting', 'Reconnecting'],
  waiting: ['waiting', 'Reconnecting'],
};

export const QUALITIES = {
  excellent: 'Good connection',
  good: 'Fair connection',
  poor: 'Poor connection',
  lost: 'Connection lost',
};

function moment(ms) {
  return new Date(ms).toLocaleString([], { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });
}
