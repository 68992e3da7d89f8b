import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';

import { timers } from '@globus/sdk';

import { bearer, done, grant, transferAll, until } from './globus.js';
import { startSim } from './sim.js';

const timer = 'https://auth.globus.org/scopes/524230d7-ea86-4a52-8312-86065a9e0417/timer';

const sim = await startSim({ lab: '', vault: '' });
after(() => sim.stop());
process.env.GLOBUS_SDK_SERVICE_URL_TIMERS = sim.url;

const me = bearer((await grant(sim, `${timer}[${transferAll}]`)).access_token);

// make makes a timer from lab to vault and returns it.
async function make(name, schedule) {
  const body = {
    source_endpoint: sim.id('lab'),
    destination_endpoint: sim.id('vault'),
    DATA: [{ DATA_TYPE: 'transfer_item', source_path: '/a/', destination_path: '/b/', recursive: true }],
  };
  const payload = { timer: { timer_type: 'transfer', name, schedule, body } };
  return (await done(timers.timer.create({ payload }, me), 201)).timer;
}

test('a timer is made, listed, paused, resumed and removed', async () => {
  const made = await make('nightly', { type: 'recurring', interval_seconds: 86400, start: '2026-03-01T02:00:00Z' });
  assert.equal(made.status, 'new');
  assert.equal(made.number_of_runs, 0);
  assert.equal(made.body.DATA[0].source_path, '/a/');

  const { jobs } = await done(timers.jobs.getAll({}, me));
  assert.deepEqual(jobs.map((job) => [job.job_id, job.name, job.interval]), [[made.job_id, 'nightly', 86400]]);

  assert.match((await done(timers.jobs.pause(made.job_id, {}, me))).message, /paused/);
  assert.equal((await done(timers.jobs.get(made.job_id, {}, me))).inactive_reason.cause, 'user');
  assert.match((await done(timers.jobs.resume(made.job_id, {}, me))).message, /resumed/);

  const renamed = await done(timers.jobs.patch(made.job_id, { payload: { name: 'weekly' } }, me));
  assert.equal(renamed.name, 'weekly');
  await done(timers.jobs.remove(made.job_id, {}, me));
  assert.deepEqual((await done(timers.jobs.getAll({}, me))).jobs, []);
});

test('a timer starts its transfer', async () => {
  await mkdir(sim.path('lab', 'a'));
  await writeFile(sim.path('lab', 'a', 'f'), 'hello');
  const made = await make('now', { type: 'once' });
  const job = await until(
    () => done(timers.jobs.get(made.job_id, {}, me)),
    (job) => job.results.data[0]?.data.status === 'SUCCEEDED',
  );
  assert.deepEqual([job.status, job.n_runs, job.n_errors], ['ended', 1, 0]);
  assert.equal(await readFile(sim.path('vault', 'b', 'f'), 'utf8'), 'hello');
});

test('a timer is refused field by field', async () => {
  const payload = { timer: { timer_type: 'transfer', body: {} } };
  const { detail } = await done(timers.timer.create({ payload }, me), 422);
  assert.deepEqual(detail[0], {
    loc: ['body', 'timer', 'schedule'],
    msg: 'field required',
    type: 'value_error.missing',
  });
});

test('timers want a token of their own', async () => {
  const { access_token } = await grant(sim, transferAll);
  const { error } = await done(timers.jobs.getAll({}, bearer(access_token)), 401);
  assert.equal(error.status, 401);
});
