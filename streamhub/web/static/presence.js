// Whether anybody can see the page.

const HIDDEN_LIMIT_MS = 30000;

// A page nobody sees lets go after a while; one that is seen again must not wait.
// on.sleep(), on.wake(), on.networkBack().
export function watchPage(on) {
  let timer = 0;
  const wake = () => {
    clearTimeout(timer);
    on.wake();
  };
  document.addEventListener('visibilitychange', () => {
    clearTimeout(timer);
    // In its little window the picture is seen, whatever the tab is.
    const floating = Boolean(document.pictureInPictureElement);
    if (document.visibilityState === 'hidden' && !floating) timer = setTimeout(on.sleep, HIDDEN_LIMIT_MS);
    else wake();
  });
  window.addEventListener('pagehide', on.sleep); // An open socket would keep the page out of the Back button's cache.
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) wake();
  });
  window.addEventListener('online', on.networkBack);
}
