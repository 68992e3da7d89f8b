// Live updates: rows of jobs are replaced as they change, and any other page is read
// again when a job that it is about changes. Without this script a page shows what was
// known when it was loaded.
'use strict';

const byId = (id) => document.getElementById(id);

// relative says how far away the starts are.
function relative() {
  const of = (n, unit) => Math.floor(n) + '\u202f' + unit;
  for (const span of document.querySelectorAll('.in')) {
    const s = Math.round((Date.parse(span.previousElementSibling.dateTime) - Date.now()) / 1000);
    span.textContent = s < 0 ? '' : '(in ' +
      (s < 60 ? of(s, 's') : s < 5400 ? of(s / 60, 'min') : s < 172800 ? of(s / 3600, 'h') : of(s / 86400, 'd')) + ')';
  }
}

// replace puts another element in place of one, and keeps the focus on the same link or
// table, and how far tables are scrolled.
function replace(old, html) {
  const fresh = document.createElement('template');
  fresh.innerHTML = html;
  const mark = (e) => e.getAttribute('href') ?? e.getAttribute('aria-label');
  const focused = old.contains(document.activeElement) ? mark(document.activeElement) : null;
  const scrolled = [...old.querySelectorAll('.wide')].map((e) => e.scrollLeft);
  const now = fresh.content.firstElementChild;
  old.replaceWith(now);
  now.querySelectorAll('.wide').forEach((e, i) => { e.scrollLeft = scrolled[i] ?? 0; });
  if (focused) [...now.querySelectorAll('a, .wide')].find((e) => mark(e) === focused)?.focus({preventScroll: true});
  relative();
}

// again reads the page again, and replaces one part of it. What is told while it reads
// is read after a while, so that a busy scheduler does not keep a browser busy.
let reading = false, missed = false;
async function again(id) {
  missed = reading;
  if (reading) return;
  reading = true;
  do {
    missed = false;
    await read(id);
    await new Promise((done) => setTimeout(done, 2000));
  } while (missed);
  reading = false;
}

async function read(id) {
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const part = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById(id);
    if (part && byId(id)) replace(byId(id), part.outerHTML);
  } catch {
    // the next event tries again
  }
}

function start() {
  relative();
  setInterval(relative, 30000);
  const rows = byId('jobs')?.dataset.live === 'rows';
  const job = byId('live')?.dataset.job; // empty: the page is about all jobs
  if (!rows && job === undefined) return;
  const events = new EventSource('/api/v1/events' + (rows ? '?rows=1' : ''));
  const told = new Set();
  events.addEventListener('open', () => again(rows ? 'jobs' : 'live')); // something may have been missed
  events.addEventListener('job', (e) => {
    const news = JSON.parse(e.data);
    if (!rows) {
      if (!job || news.job === job) again('live');
      return;
    }
    const row = byId('job-' + news.job);
    if (row) replace(row, news.html);
    else again('jobs');
    if (news.state === 'failed' && !told.has(news.run)) {
      told.add(news.run);
      byId('said').textContent = news.job + ' has failed';
    }
  });
  events.addEventListener('top', (e) => replace(byId('top'), JSON.parse(e.data).html));
}
start();
