// What stands in the way, in words, and what can be done about it.

const part = (id) => document.getElementById(id);

// on.again(), on.listen(), on.other(), on.ticket(text): what somebody wants instead.
export function createGate(on) {
  part('gate-again').addEventListener('click', () => on.again());
  part('gate-listen').addEventListener('click', () => on.listen());
  part('gate-other').addEventListener('click', () => on.other());
  part('ticket').addEventListener('submit', (event) => {
    event.preventDefault();
    on.ticket(part('ticket-text').value.trim());
  });

  return {
    // `words`: title, text, hint. `more`: which of again, listen, other, form, insecure to offer; again may be its label.
    show(words, more = {}) {
      part('gate-title').textContent = words.title;
      part('gate-text').textContent = words.text || '';
      part('gate-hint').textContent = words.hint || '';
      part('gate-again').hidden = !more.again;
      if (typeof more.again === 'string') part('gate-again').textContent = more.again;
      part('gate-listen').hidden = !more.listen;
      part('gate-other').hidden = !more.other;
      part('ticket').hidden = !more.form;
      part('insecure').hidden = !more.insecure;
      part('gate').querySelector('.icon').toggleAttribute('hidden', Boolean(more.form));
      part('gate').hidden = false;
      if (more.form) part('ticket-text').focus();
      else part('gate-title').focus();
    },
  };
}
