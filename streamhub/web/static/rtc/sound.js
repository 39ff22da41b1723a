// Loudness of all audio elements together, within the browser's rules: where it forbids sound before a tap, everything
// plays muted and `blocked` says that a tap is needed.

export function createSound({ muted = false, volume = 1, changed = () => {} } = {}) {
  const elements = new Set();
  let blocked = false;

  function apply(element) {
    element.muted = muted || blocked;
    element.volume = volume;
  }

  async function play(element) {
    apply(element);
    try {
      await element.play();
    } catch (error) {
      // Anything else (its track was exchanged meanwhile) passes.
      if (error.name !== 'NotAllowedError' || element.muted) return;
      block();
    }
  }

  function block() {
    if (blocked) return;
    blocked = true;
    for (const element of elements) play(element);
    changed();
  }

  const sound = {
    get muted() {
      return muted || blocked;
    },
    get blocked() {
      return blocked && !muted;
    },
    get volume() {
      return volume;
    },
    // Whether there is anything to hear.
    get present() {
      return elements.size > 0;
    },
    // Call it after a track was attached: LiveKit's client unmutes the element.
    add(element) {
      elements.add(element);
      play(element);
      changed();
    },
    remove(element) {
      if (elements.delete(element)) changed();
    },
    // Unmuting works from within a tap or key press only, if the browser is strict.
    setMuted(yes) {
      muted = yes;
      blocked = false;
      for (const element of elements) play(element);
      changed();
    },
    toggle: () => sound.setMuted(!sound.muted),
    // 0 to 1; 0 mutes, more unmutes.
    setVolume(value) {
      volume = Math.min(1, Math.max(0, value));
      if (volume > 0 && sound.muted) sound.setMuted(false);
      else for (const element of elements) apply(element);
      changed();
    },
  };
  return sound;
}

// iPhones leave the volume to their buttons.
export function canSetVolume() {
  const probe = document.createElement('audio');
  probe.volume = 0.5;
  return probe.volume === 0.5;
}
