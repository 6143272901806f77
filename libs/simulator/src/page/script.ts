/** Runs in the browser, without modules or libraries. Reads the story that page.ts puts into the element `story`. */
export const SCRIPT = String.raw`'use strict';
(() => {
  const $ = (id) => document.getElementById(id);
  const story = JSON.parse($('story').textContent);
  const last = story.events.length - 1;
  const pane = $('pane');
  const slider = $('slider');
  const parts = [...document.querySelectorAll('[data-e]')].map((element) => ({
    element, from: Number(element.dataset.e), to: element.dataset.end === undefined ? null : Number(element.dataset.end),
    message: element.classList.contains('message'), names: element.dataset.t ? element.dataset.t.split(' ') : [],
  }));
  const violations = story.events.flatMap((event, i) => (event.kind === 'violation' ? [i] : []));
  const OVERVIEW = -1;
  let now = OVERVIEW;
  let only = '';
  let timer = 0;
  let isOpen = false;

  const concerns = (names) => only === '' || names.length === 0 || names.includes(only);
  const text = (id, value) => { $(id).textContent = value; };

  function show(next, follow = true) {
    now = Math.max(OVERVIEW, Math.min(last, next));
    const stepping = now !== OVERVIEW;
    const until = stepping ? now : last;
    for (const { element, from, to, message, names } of parts) {
      element.classList.toggle('future', stepping && from > now);
      element.classList.toggle('now', stepping && (from === now || to === now));
      element.classList.toggle('flying', message && stepping && from <= now && (to === null || to > now));
      element.classList.toggle('other', !concerns(names));
    }
    slider.value = String(until);
    describe(stepping);
    table(until);
    if (stepping && follow) scroll(story.events[now].y);
    try { history.replaceState(null, '', stepping ? '#' + (now + 1) : location.pathname + location.search); } catch { /* some viewers forbid it */ }
  }

  function describe(stepping) {
    const event = stepping ? story.events[now] : null;
    text('position', stepping ? (now + 1) + ' / ' + (last + 1) : (last + 1) + ' events');
    text('when', event ? event.ms + ' ms' + (event.where ? ', ' + event.where : '') + (story.transactions.length > 1 && event.transactions.length ? ', ' + event.transactions.join(' + ') : '') : 'the whole run');
    text('what', event ? event.text : 'Press → to step through the run, space to play it.');
    text('meaning', event ? event.meaning : 'Time runs down. Each column is a process; solid dots and squares are steps and flushes, arrows are messages, a cross is where one was lost.');
    $('now').className = 'card ' + (event ? event.kind : '');
  }

  function table(until) {
    const cells = story.roles.map(() => ['-', '-']);
    let changed = new Set();
    for (let i = 0; i <= until; i++) {
      changed = new Set();
      for (const [role, column, value] of story.events[i].changes) {
        cells[role][column] = value;
        changed.add(role + '.' + column);
      }
    }
    story.roles.forEach((role, i) => {
      const row = $('role-' + i);
      row.hidden = !concerns([role.transaction]);
      [0, 1].forEach((column) => {
        const cell = row.cells[column + 1];
        cell.textContent = cells[i][column];
        cell.classList.toggle('changed', now !== OVERVIEW && changed.has(i + '.' + column));
      });
    });
    const flying = story.messages.filter(({ from, to, transaction }) => from <= until && (to === null || to > until) && concerns([transaction]));
    text('flying', flying.length === 0 ? 'none' : flying.slice(0, 8).map((message) => message.text).join(', ') + (flying.length > 8 ? ' and ' + (flying.length - 8) + ' more' : ''));
    const told = new Map();
    story.events.slice(0, until + 1).forEach((event) => { if (event.kind === 'answer') told.set(event.transactions[0], event.text.replace('tells the client: ', '')); });
    text('told', told.size === 0 ? 'nothing yet' : [...told].filter(([name]) => concerns([name])).map(([name, outcome]) => (story.transactions.length > 1 ? name + ' ' : '') + outcome).join(', ') || 'nothing yet');
  }

  function scroll(y) {
    const top = pane.scrollTop;
    const margin = pane.clientHeight * 0.22;
    if (y > top + margin && y < top + pane.clientHeight - margin) return;
    const smooth = isOpen && timer === 0 && !matchMedia('(prefers-reduced-motion: reduce)').matches && Math.abs(y - top) < 3000;
    pane.scrollTo({ top: y - pane.clientHeight / 2, behavior: smooth ? 'smooth' : 'auto' });
  }

  function step(by) {
    let next = now === OVERVIEW && by < 0 ? last : now + by;
    while (next > OVERVIEW && next <= last && !concerns(story.events[next].transactions)) next += by;
    if (next > last) return stop();
    show(next);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
    $('play').classList.remove('playing');
    $('play').setAttribute('aria-label', 'Play');
  }

  function play() {
    if (timer !== 0) return stop();
    if (now === last) show(OVERVIEW);
    timer = setInterval(() => step(1), 700 / Number($('speed').value));
    $('play').classList.add('playing');
    $('play').setAttribute('aria-label', 'Pause');
    step(1);
  }

  const go = (next) => { stop(); show(next); };
  const actions = {
    first: () => go(0), back: () => { stop(); step(-1); }, play, forward: () => { stop(); step(1); }, end: () => go(last), overview: () => go(OVERVIEW),
    violation: () => { if (violations.length > 0) go(violations.find((i) => i > now) ?? violations[0]); },
  };
  const keys = { ArrowLeft: 'back', ArrowRight: 'forward', k: 'back', j: 'forward', ' ': 'play', Home: 'first', End: 'end', v: 'violation', Escape: 'overview' };

  for (const [id, act] of Object.entries(actions)) $(id)?.addEventListener('click', act);
  $('violation-link')?.addEventListener('click', actions.violation);
  slider.addEventListener('input', () => go(Number(slider.value)));
  $('speed').addEventListener('change', () => { if (timer !== 0) { stop(); play(); } });
  $('only')?.addEventListener('change', (event) => { only = event.target.value; show(now); });
  $('copy').addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText($('replay').textContent);
      text('copy', 'copied');
    } catch {
      getSelection().selectAllChildren($('replay'));
    }
  });
  pane.addEventListener('click', (event) => {
    const part = event.target.closest('[data-e]');
    if (part) { stop(); show(Number(part.dataset.e), false); }
  });
  addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const inControl = event.target.closest('select, button, summary, a') !== null;
    const action = keys[event.key];
    if (!action || (inControl && (event.key === ' ' || event.target.tagName === 'SELECT'))) return;
    event.preventDefault();
    actions[action]();
  });
  const wanted = Number(location.hash.slice(1));
  show(Number.isInteger(wanted) && wanted >= 1 ? wanted - 1 : OVERVIEW);
  isOpen = true;
})();
`;
