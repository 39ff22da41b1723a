// The share panel: addresses to copy, also where the clipboard API is missing (plain http).

const SAID_MS = 2000;

export function addSharing() {
  const panel = document.getElementById('share');
  const opener = document.getElementById('share-open');
  opener.setAttribute('aria-expanded', 'false');
  opener.setAttribute('aria-controls', 'share');
  opener.addEventListener('click', () => {
    panel.hidden = !panel.hidden;
    opener.setAttribute('aria-expanded', String(!panel.hidden));
    if (!panel.hidden) panel.scrollIntoView({ block: 'nearest' });
  });
  for (const field of panel.querySelectorAll('input')) field.addEventListener('focus', () => field.select());
  for (const button of panel.querySelectorAll('[data-copy]')) {
    button.addEventListener('click', async () => {
      const done = await copyText(document.getElementById(button.dataset.copy));
      say(button, done ? 'Copied' : 'Press Ctrl+C');
    });
  }
}

async function copyText(field) {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(field.value);
      return true;
    } catch (_) {
      // No permission: the old way may still do.
    }
  }
  field.focus();
  field.setSelectionRange(0, field.value.length);
  try {
    return document.execCommand('copy');
  } catch (_) {
    return false;
  }
}

function say(button, text) {
  button.textContent = text;
  document.getElementById('copied').textContent = text;
  setTimeout(() => {
    button.textContent = 'Copy';
    document.getElementById('copied').textContent = '';
  }, SAID_MS);
}
