// The room's last picture as the server kept it.

// {blob, at: when it was taken, ms} or null: there is none, or it cannot be had now.
export async function fetchPoster(url) {
  try {
    const answer = await fetch(url, { cache: 'no-store', credentials: 'omit' });
    const at = Date.parse(answer.headers.get('X-Picture-Taken'));
    return answer.status === 200 && at ? { blob: await answer.blob(), at } : null;
  } catch (_) {
    return null;
  }
}
