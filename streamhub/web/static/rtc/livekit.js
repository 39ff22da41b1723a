// LiveKit's client, fetched when the first room needs it: a page of cameras never does.

let loading = null;
let failures = 0;

// The module `livekit-client`. Rejects if it cannot be fetched; the next call tries again.
export function loadLivekit() {
  if (!loading) {
    // Browsers remember a failed import by its address.
    loading = import(`../sdk/livekit-client.js${failures ? `?again=${failures}` : ''}`);
    loading.then(
      (livekit) => livekit.setLogLevel('warn'),
      () => {
        failures += 1;
        loading = null;
      },
    );
  }
  return loading;
}
