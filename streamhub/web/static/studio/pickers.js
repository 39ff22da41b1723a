// The lists of cameras, microphones and speakers, kept up to date while things are plugged in and out. What was chosen is
// remembered by the browser for the next time.

const STORE = 'studio devices';
const LISTS = { camera: 'videoinput', microphone: 'audioinput', speaker: 'audiooutput' };
const NAMES = { camera: 'Camera', microphone: 'Microphone', speaker: 'Speaker' };

// The device ids chosen before: {camera, microphone, speaker}, each may be missing.
export function chosenBefore() {
  try {
    return JSON.parse(localStorage.getItem(STORE)) || {};
  } catch (_) {
    return {};
  }
}

// `kinds`: those to offer. `current(kind)` → the id in use; `on.choose(kind, id)`.
export function createPickers(kinds, current, on) {
  const chosen = chosenBefore();
  const selects = {};
  for (const kind of kinds) {
    const select = document.getElementById(`pick-${kind}`);
    selects[kind] = select;
    select.addEventListener('change', () => {
      chosen[kind] = select.value;
      remember(chosen);
      on.choose(kind, select.value);
    });
  }

  async function refresh() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    for (const kind of kinds) fill(kind, devices.filter((device) => device.kind === LISTS[kind]));
  }

  function fill(kind, devices) {
    // Without permission there are neither names nor ids.
    const known = devices.filter((device) => device.deviceId);
    const select = selects[kind];
    select.replaceChildren(...known.map((device, n) => new Option(device.label || `${NAMES[kind]} ${n + 1}`, device.deviceId)));
    select.disabled = known.length === 0;
    if (!known.length) select.append(new Option(devices.length ? 'Not allowed yet' : `No ${kind} found`, ''));
    const now = current(kind) || chosen[kind];
    if (known.some((device) => device.deviceId === now)) select.value = now;
    select.closest('.pick').hidden = kind === 'speaker' && !known.length;
  }

  navigator.mediaDevices.addEventListener('devicechange', refresh);
  return { refresh };
}

function remember(chosen) {
  try {
    localStorage.setItem(STORE, JSON.stringify(chosen));
  } catch (_) {
    // Then it is asked for again next time.
  }
}
