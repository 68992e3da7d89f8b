// Live updates: rows of jobs are replaced as they change, and a page about one job
// is read again. Without this script a page shows what was known when it was loaded.
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

// replace puts another element in place of one, and keeps the focus on the same link.
function replace(old, html) {
  const fresh = document.createElement('template');
  fresh.innerHTML = html;
  const focused = old.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
  const now = fresh.content.firstElementChild;
  old.replaceWith(now);
  if (focused) [...now.querySelectorAll('a')].find((a) => a.getAttribute('href') === focused)?.focus();
  relative();
}

// again reads the page again, and replaces one part of it.
let reading = false;
async function again(id) {
  if (reading) return;
  reading = true;
  try {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const part = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById(id);
    if (part && byId(id)) replace(byId(id), part.outerHTML);
  } catch {
    // the next event tries again
  } finally {
    reading = false;
  }
}

function start() {
  relative();
  setInterval(relative, 30000);
  const rows = byId('jobs')?.dataset.live === 'rows';
  const job = byId('live')?.dataset.job;
  if (!rows && !job) return;
  const events = new EventSource('/api/v1/events' + (rows ? '?rows=1' : ''));
  let opened = false;
  const told = new Set();
  events.addEventListener('open', () => {
    if (opened) again(rows ? 'jobs' : 'live'); // something may have been missed
    opened = true;
  });
  events.addEventListener('job', (e) => {
    const news = JSON.parse(e.data);
    if (job) {
      if (news.job === job) again('live');
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
