import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, test } from 'node:test';

import { transfer } from '@globus/sdk';

import { done, ended, eventually, login, refused, submissionID, submit } from './globus.js';
import { startSim } from './sim.js';
import { harvest, plant } from './tree.js';
import { keeps } from './types.js';

const { task, taskSubmission } = transfer;

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00$/;
const unknown = '00000000-0000-4000-8000-000000000000';

const sim = await startSim({ lab: '', vault: '', frozen: 'access=r', small: 'quota=10B' });
after(() => sim.stop());
const me = await login(sim);

// copy submits a transfer from one path to the same at another collection.
function copy(path, { to = 'vault', ...more } = {}) {
  return submit(me, {
    source_endpoint: sim.id('lab'),
    destination_endpoint: sim.id(to),
    DATA: [{ DATA_TYPE: 'transfer_item', source_path: path, destination_path: path }],
    ...more,
  });
}

// stalled submits a transfer that goes nowhere.
async function stalled(path, more) {
  await sim.order('tasks', { action: 'stall' });
  return copy(path, more);
}

const get = (id) => done(task.get(id, {}, me));
const cancel = (id) => done(task.cancel(id, {}, me));
const events = async (id, query) => done(task.getEventList(id, { query }, me));
const codes = async (id, query) => (await events(id, query)).DATA.map((event) => event.code);

// A finished transfer and a finished delete, for the tests that only read.
await plant(sim.path('lab', 'finished'), { 'a b': 'one', 'Größe': 'three' });
const finished = await copy('/finished/', { label: 'Finished 1' });
await ended(me, finished);
const payload = {
  submission_id: await submissionID(me),
  endpoint: sim.id('lab'),
  label: 'Purged',
  ignore_missing: true,
  DATA: [{ DATA_TYPE: 'delete_item', path: '/nothing' }],
};
const purged = (await done(taskSubmission.submitDelete({ payload }, me), 202)).task_id;
await ended(me, purged);

test('a task document keeps the promises of the SDK', async () => {
  const doc = await get(finished);
  await keeps(doc, 'task', 'TaskDocument');
  await keeps(await get(purged), 'task', 'TaskDocument', 'destination_endpoint', 'destination_endpoint_display_name');
  assert.equal(doc.owner_id, sim.clientID);
  assert.equal(doc.source_endpoint_display_name, 'lab');
  for (const field of ['request_time', 'completion_time', 'deadline']) {
    assert.match(doc[field], time, field);
  }
  for (const field of ['is_ok', 'nice_status', 'nice_status_short_description', 'fatal_error']) {
    assert.equal(doc[field], null, field);
  }
});

test('a task that is worked on has no end yet', async () => {
  const id = await stalled('/unfinished');
  const doc = await get(id);
  await keeps(doc, 'task', 'TaskDocument');
  assert.equal(doc.status, 'ACTIVE');
  assert.equal(doc.completion_time, null);
  assert.equal(doc.is_ok, true);
  await cancel(id);
});

test('the parts of a task add up', async () => {
  const doc = await get(finished);
  const states = ['pending', 'succeeded', 'expired', 'canceled', 'failed', 'skipped_errors'];
  const sum = states.reduce((n, state) => n + doc[`subtasks_${state}`], 0);
  assert.equal(sum, doc.subtasks_total);
});

test('fields leaves only the fields that are named', async () => {
  const doc = await done(task.get(finished, { query: { fields: 'status,label' } }, me));
  assert.deepEqual(doc, { status: 'SUCCEEDED', label: 'Finished 1' });
});

const calls = {
  get: (id) => task.get(id, {}, me),
  update: (id) => task.update(id, { payload: { DATA_TYPE: 'task', label: 'x' } }, me),
  cancel: (id) => task.cancel(id, {}, me),
  remove: (id) => task.remove(id, {}, me),
  getEventList: (id) => task.getEventList(id, {}, me),
  getSuccessfulTransfers: (id) => task.getSuccessfulTransfers(id, {}, me),
  getSkippedErrors: (id) => task.getSkippedErrors(id, {}, me),
  getPauseInfo: (id) => task.getPauseInfo(id, {}, me),
};
for (const [name, call] of Object.entries(calls)) {
  test(`${name} of an unknown task is not found`, async () => {
    await refused(call(unknown), 404, 'ClientError.NotFound');
  });
}

const both = ['Purged', 'Finished 1'];
const filters = {
  'type:DELETE': ['Purged'],
  'type:TRANSFER,DELETE': both,
  'status:SUCCEEDED/type:TRANSFER': ['Finished 1'],
  'status:INACTIVE': [],
  'label:=Finished 1': ['Finished 1'],
  'label:~fin*': ['Finished 1'],
  'label:!Purged': ['Finished 1'],
  'label:!~fin*': ['Purged'],
  'request_time:2026-01-01,': both,
  'completion_time:,2026-01-01': [],
  [`task_id:${finished},${unknown}`]: ['Finished 1'],
};
for (const [filter, want] of Object.entries(filters)) {
  test(`the list of tasks with ${filter}`, async () => {
    // Other tests leave tasks as well, but none with a label.
    const query = { filter: `${filter}/label:~*d*`, orderby: 'request_time DESC', limit: 100 };
    const list = await done(task.getAll({ query }, me));
    assert.equal(list.DATA_TYPE, 'task_list');
    assert.equal(list.total, want.length);
    assert.deepEqual(list.DATA.map((row) => row.label), want);
  });
}

test('the list of tasks has pages, in the order that is wanted', async () => {
  const page = (offset) =>
    done(task.getAll({ query: { filter: 'label:~*d*', orderby: 'type,label ASC', limit: 1, offset } }, me));
  const pages = [await page(0), await page(1), await page(2)];
  assert.deepEqual(pages.map((p) => p.DATA.map((row) => row.label)), [['Purged'], ['Finished 1'], []]);
  for (const { limit, total } of pages) {
    assert.deepEqual({ limit, total }, { limit: 1, total: 2 });
  }
});

test('the list of tasks takes fields and an array', async () => {
  const query = { filter: ['type:TRANSFER', 'DELETE/label:~*d*'], fields: ['task_id'], orderby: 'type' };
  const { DATA } = await done(task.getAll({ query }, me));
  assert.deepEqual(DATA, [{ task_id: purged }, { task_id: finished }]);
});

test('an unknown filter is refused', async () => {
  await refused(task.getAll({ query: { filter: 'color:red' } }, me), 400, 'ClientError.BadRequest');
});

test('events tell the story of a task, the newest first', async () => {
  const list = await events(finished);
  assert.equal(list.DATA_TYPE, 'event_list');
  assert.equal(list.total, list.DATA.length);
  for (const event of list.DATA) {
    await keeps(event, 'task', 'EventDocument');
    assert.equal(event.is_error, false);
    assert.match(event.time, time);
  }
  assert.equal(list.DATA[0].code, 'SUCCEEDED');
  const started = list.DATA.at(-1);
  assert.equal(started.code, 'STARTED');
  assert.equal(typeof JSON.parse(started.details), 'object');

  const page = await events(finished, { limit: 1, offset: 1 });
  assert.deepEqual(page.DATA, [list.DATA[1]]);
  assert.equal(page.total, list.total);
  assert.deepEqual(await codes(finished, { filter: 'is_error:1' }), []);
});

test('each file that was copied is listed', async () => {
  const list = await done(task.getSuccessfulTransfers(finished, {}, me));
  assert.equal(list.DATA_TYPE, 'successful_transfers');
  assert.equal(list.next_marker, null);
  const rows = list.DATA.sort((a, b) => a.size - b.size);
  assert.deepEqual(rows.map(({ source_path, destination_path, size }) => ({ source_path, destination_path, size })), [
    { source_path: '/finished/a b', destination_path: '/finished/a b', size: 3 },
    { source_path: '/finished/Größe', destination_path: '/finished/Größe', size: 5 },
  ]);
  for (const row of rows) {
    await keeps(row, 'task', 'SuccessfulTransferDocument');
  }
});

test('many files are listed page by page', async () => {
  const count = 250;
  await plant(sim.path('lab', 'many'), Object.fromEntries(Array.from({ length: count }, (_, i) => [`${i}`, ''])));
  const id = await copy('/many/');
  await ended(me, id);
  const paths = new Set();
  for (let marker; marker !== null; ) {
    const page = await done(task.getSuccessfulTransfers(id, { query: { marker } }, me));
    page.DATA.forEach((row) => paths.add(row.source_path));
    assert.ok(page.next_marker === null || page.next_marker > (marker ?? 0), `${page.next_marker}`);
    marker = page.next_marker;
  }
  assert.equal(paths.size, count);
});

test('skipped errors are listed', async () => {
  await plant(sim.path('lab'), { there: '1' });
  const DATA = ['/there', '/not there'].map((path) => ({ source_path: path, destination_path: `/skipped${path}` }));
  const id = await copy('', { DATA, skip_source_errors: true });
  const doc = await ended(me, id);
  assert.equal(doc.subtasks_skipped_errors, 1);
  assert.equal(doc.skip_source_errors, true);
  const list = await done(task.getSkippedErrors(id, {}, me));
  assert.equal(list.DATA_TYPE, 'skipped_errors');
  assert.equal(list.next_marker, null);
  assert.equal(list.DATA.length, 1);
  assert.equal(list.DATA[0].error_code, 'FILE_NOT_FOUND');
  assert.equal(list.DATA[0].source_path, '/not there');
  await keeps(list.DATA[0], 'task', 'SkippedErrorDocument', 'external_checksum', 'checksum_algorithm');
  assert.deepEqual(await harvest(sim.path('vault', 'skipped')), { there: '1' });
});

test('label and deadline can change while a task is worked on', async () => {
  const id = await stalled('/renamed');
  const update = (payload) => task.update(id, { payload: { DATA_TYPE: 'task', ...payload } }, me);
  assert.equal((await done(update({ label: 'new', deadline: '2099-01-02 03:04:05' }))).code, 'Updated');
  const doc = await get(id);
  assert.equal(doc.label, 'new');
  assert.equal(doc.deadline, '2099-01-02T03:04:05+00:00');
  await refused(update({ label: 'a\nb' }), 400, 'ClientError.BadRequest');
  await cancel(id);
  await refused(update({ label: 'late' }), 409, 'Conflict');
});

test('a deadline in the past ends a task', async () => {
  const id = await stalled('/late');
  await done(task.update(id, { payload: { DATA_TYPE: 'task', deadline: '2020-01-01' } }, me));
  const doc = await ended(me, id, 'FAILED');
  assert.equal(doc.fatal_error.code, 'EXPIRED');
  assert.equal((await events(id)).DATA[0].code, 'EXPIRED');
});

test('a deadline that is reached ends a task', async () => {
  const deadline = new Date(Date.now() + 1500).toISOString();
  const id = await stalled('/expiring', { deadline });
  assert.equal((await ended(me, id, 'FAILED')).fatal_error.code, 'EXPIRED');
});

test('a canceled task has failed', async () => {
  const id = await stalled('/canceled');
  assert.equal((await cancel(id)).code, 'Canceled');
  const doc = await ended(me, id, 'FAILED');
  assert.ok(doc.subtasks_canceled > 0);
  const { DATA } = await events(id);
  assert.equal(DATA[0].code, 'CANCELED');
  assert.equal(DATA[0].is_error, true);
  assert.equal(DATA[0].details, 'Canceled by the task owner');
});

test('a finished task can no longer be canceled, which is no error', async () => {
  assert.equal((await cancel(finished)).code, 'TaskComplete');
  assert.equal((await get(finished)).status, 'SUCCEEDED');
});

test('a task that is canceled in the middle keeps its counters', async () => {
  await plant(sim.path('lab', 'half'), { 1: 'x', 2: 'x', 3: 'x' });
  await sim.order('tasks', { action: 'stall', after_files: 2 });
  const id = await copy('/half/');
  await eventually(me, id, (doc) => doc.files_transferred === 2);
  await cancel(id);
  const doc = await get(id);
  assert.equal(doc.files_transferred, 2);
  assert.equal(doc.bytes_transferred, 2);
});

test('a missing source makes faults until it is there', async () => {
  const id = await copy('/awaited');
  const doc = await eventually(me, id, (doc) => doc.faults > 1);
  assert.equal(doc.status, 'ACTIVE');
  assert.equal(doc.is_ok, false);
  assert.equal(doc.nice_status, 'FILE_NOT_FOUND');
  assert.equal(doc.fatal_error, null);
  const errors = await events(id, { filter: 'is_error:1' });
  assert.ok(errors.DATA.length > 0);
  assert.ok(errors.DATA.every((event) => event.is_error && event.code === 'FILE_NOT_FOUND'));

  await plant(sim.path('lab'), { awaited: 'at last' });
  assert.ok((await ended(me, id)).faults > 1);
  assert.equal((await harvest(sim.path('vault'))).awaited, 'at last');
});

test('a destination that may not be written to makes faults', async () => {
  await plant(sim.path('lab'), { refused: '1' });
  const id = await copy('/refused', { to: 'frozen' });
  const doc = await eventually(me, id, (doc) => doc.faults > 0);
  assert.equal(doc.nice_status, 'PERMISSION_DENIED');
  await cancel(id);
});

test('a full destination fails a task that asks for it', async () => {
  await plant(sim.path('lab'), { big: 'x'.repeat(100) });
  const id = await copy('/big', { to: 'small', fail_on_quota_errors: true });
  assert.ok((await ended(me, id, 'FAILED')).fatal_error.code);
});

test('a pause rule holds a task, and says why', async () => {
  await plant(sim.path('lab'), { paused: '1' });
  const rule = await sim.order('pauses', { endpoint_id: sim.id('vault'), message: 'Maintenance' });
  const id = await copy('/paused');
  const doc = await eventually(me, id, (doc) => doc.is_paused);
  assert.equal(doc.status, 'ACTIVE');
  const info = await done(task.getPauseInfo(id, {}, me));
  assert.equal(info.DATA_TYPE, 'pause_info_limited');
  assert.equal(info.pause_rules.length, 1);
  const [limited] = info.pause_rules;
  assert.equal(limited.DATA_TYPE, 'pause_rule_limited');
  assert.equal(limited.id, rule.id);
  assert.equal(limited.message, 'Maintenance');
  assert.equal(limited.endpoint_display_name, 'vault');
  assert.equal(limited.pause_task_transfer_write, true);
  for (const field of ['source_pause_message', 'destination_pause_message']) {
    assert.equal(info[field], null, field);
  }

  await sim.withdraw(`pauses/${rule.id}`);
  await ended(me, id);
  const story = await codes(id);
  assert.ok(story.indexOf('UNPAUSED') < story.indexOf('PAUSED'), `${story}`);
});

test('a task that is not paused has no pause rules', async () => {
  const info = await done(task.getPauseInfo(finished, {}, me));
  assert.deepEqual(info.pause_rules, []);
});

test('a task that is suspended is INACTIVE until it is released', async () => {
  await plant(sim.path('lab'), { suspended: '1' });
  await sim.order('tasks', { action: 'inactive' });
  const id = await copy('/suspended');
  const doc = await eventually(me, id, (doc) => doc.status === 'INACTIVE');
  assert.equal(doc.completion_time, null);
  await sim.order('tasks', { action: 'release', task_id: id });
  await ended(me, id);
});

test('a task that fails says why', async () => {
  await sim.order('tasks', { action: 'fail', code: 'ENDPOINT_ERROR', message: 'The disk is broken' });
  const id = await copy('/finished/a b');
  const doc = await ended(me, id, 'FAILED');
  assert.equal(doc.fatal_error.code, 'ENDPOINT_ERROR');
  assert.match((await events(id)).DATA[0].details, /The disk is broken/);
});

test('a removed task is gone', async () => {
  await plant(sim.path('lab'), { removed: '1' });
  const id = await copy('/removed');
  await ended(me, id);
  await done(task.remove(id, {}, me));
  await refused(task.get(id, {}, me), 404, 'ClientError.NotFound');
  const list = await done(task.getAll({ query: { filter: `task_id:${id}` } }, me));
  assert.equal(list.total, 0);
});

test('a slow task moves no faster than ordered', async () => {
  await plant(sim.path('lab'), { slow: 'x'.repeat(1 << 20) });
  await sim.order('tasks', { action: 'slow', rate: 1 << 18 });
  const id = await copy('/slow');
  await sleep(300);
  const doc = await get(id);
  assert.equal(doc.status, 'ACTIVE');
  assert.ok(doc.bytes_transferred < 1 << 20);
  await cancel(id);
});
