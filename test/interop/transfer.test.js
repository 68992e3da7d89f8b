import assert from 'node:assert/strict';
import { mkdir, stat, symlink, utimes } from 'node:fs/promises';
import { after, test } from 'node:test';

import { transfer } from '@globus/sdk';

import { done, ended, login, refused, submissionID, submit } from './globus.js';
import { startSim } from './sim.js';
import { harvest, plant } from './tree.js';

const { task, taskSubmission } = transfer;
const { submitDelete, submitTransfer } = taskSubmission;

const sim = await startSim({ lab: '', vault: '', desk: 'type=gcp,offline' });
after(() => sim.stop());
const me = await login(sim);
const [lab, vault] = [sim.id('lab'), sim.id('vault')];

// job is a transfer document from one folder or file to another.
function job(source_path, destination_path, more = {}) {
  const { recursive, ...rest } = more;
  return {
    source_endpoint: lab,
    destination_endpoint: vault,
    DATA: [{ DATA_TYPE: 'transfer_item', source_path, destination_path, recursive }],
    ...rest,
  };
}

// unfinished submits a transfer that goes nowhere until it is canceled.
async function unfinished(name) {
  await sim.order('tasks', { action: 'stall' });
  return submit(me, job(`/${name}`, `/${name}`));
}

test('a folder arrives with all that is in it', async () => {
  await plant(sim.path('lab', 'tree'), {
    'empty': '',
    'large': 'x'.repeat(1 << 20),
    'deep/er/still': 'content',
    'Größe 100%/a#b?.txt': 'odd',
    'Größe 100%/%41+b&c': 'odder',
    ' leading and trailing ': 'blanks',
  });
  await mkdir(sim.path('lab', 'tree', 'nothing'));
  const id = await submit(me, job('/tree/', '/copy/tree/', {
    label: 'a folder',
    recursive: true,
    sync_level: 3,
    verify_checksum: true,
    encrypt_data: true,
    notify_on_succeeded: false,
    notify_on_failed: false,
  }));
  const doc = await ended(me, id);
  assert.deepEqual(await harvest(sim.path('vault', 'copy', 'tree')), await harvest(sim.path('lab', 'tree')));
  assert.equal(doc.label, 'a folder');
  assert.equal(doc.files, 6);
  assert.equal(doc.files_transferred, 6);
  assert.equal(doc.bytes_transferred, (1 << 20) + 'content'.length + 'odd'.length + 'odder'.length + 'blanks'.length);
  assert.equal(doc.sync_level, 3);
  assert.equal(doc.verify_checksum, true);
  assert.equal(doc.faults, 0);
});

test('a file keeps its time if that is wanted', async () => {
  const at = Date.UTC(2026, 2, 1) / 1000;
  await plant(sim.path('lab'), { 'old file': 'old' });
  await utimes(sim.path('lab', 'old file'), at, at);
  await ended(me, await submit(me, job('/old file', '/old file', { preserve_timestamp: true })));
  assert.equal((await stat(sim.path('vault', 'old file'))).mtimeMs, at * 1000);
});

test('filter rules choose the files', async () => {
  await plant(sim.path('lab', 'mixed'), { 'a.csv': '1', 'b.tmp': '2', 'sub/c.csv': '3', 'skip/d.csv': '4' });
  const id = await submit(me, job('/mixed/', '/mixed/', {
    recursive: true,
    filter_rules: [
      { DATA_TYPE: 'filter_rule', method: 'exclude', type: 'dir', name: 'skip' },
      { DATA_TYPE: 'filter_rule', method: 'include', type: 'file', name: '*.csv' },
      { DATA_TYPE: 'filter_rule', method: 'exclude', type: 'file', name: '*' },
    ],
  }));
  const doc = await ended(me, id);
  assert.deepEqual(await harvest(sim.path('vault', 'mixed')), { 'a.csv': '1', 'sub': null, 'sub/c.csv': '3' });
  assert.equal(doc.filter_rules.length, 3);
});

test('a mirror leaves nothing at the destination that is not at the source', async () => {
  await plant(sim.path('lab', 'mirror'), { 'same': '1', 'new': '2' });
  await plant(sim.path('vault', 'mirror'), { 'same': '1', 'extra/old': '3' });
  const id = await submit(me, job('/mirror/', '/mirror/', {
    recursive: true,
    sync_level: 3,
    delete_destination_extra: true,
  }));
  const doc = await ended(me, id);
  assert.deepEqual(await harvest(sim.path('vault', 'mirror')), { same: '1', new: '2' });
  assert.equal(doc.files_skipped, 1);
  assert.equal(doc.files_transferred, 1);
});

test('a link inside a folder is left out by default', async () => {
  await plant(sim.path('lab', 'linked'), { file: '1' });
  await symlink('file', sim.path('lab', 'linked', 'link'));
  const doc = await ended(me, await submit(me, job('/linked/', '/linked/', { recursive: true })));
  assert.deepEqual(await harvest(sim.path('vault', 'linked')), { file: '1' });
  assert.equal(doc.recursive_symlinks, 'ignore');
});

test('several items go with one task, and one names its checksum', async () => {
  await plant(sim.path('lab', 'several'), { a: 'a', b: 'b' });
  const DATA = [
    { DATA_TYPE: 'transfer_item', source_path: '/several/a', destination_path: '/several/1' },
    {
      source_path: '/several/b',
      destination_path: '/several/2',
      external_checksum: '92eb5ffee6ae2fec3ad71c777531578f',
      checksum_algorithm: 'MD5',
    },
  ];
  await ended(me, await submit(me, { source_endpoint: lab, destination_endpoint: vault, DATA }));
  assert.deepEqual(await harvest(sim.path('vault', 'several')), { 1: 'a', 2: 'b' });
});

test('a submission id makes one task, however often it is sent', async () => {
  await plant(sim.path('lab'), { once: '1' });
  const payload = { submission_id: await submissionID(me), ...job('/once', '/once') };
  const first = await done(submitTransfer({ payload }, me), 202);
  assert.equal(first.DATA_TYPE, 'transfer_result');
  assert.equal(first.code, 'Accepted');
  assert.equal(first.submission_id, payload.submission_id);
  assert.equal(first.resource, '/v0.10/transfer');
  assert.equal(first.task_link.resource, 'task');

  for (const when of ['at once', 'after the end']) {
    const again = await done(submitTransfer({ payload }, me));
    assert.equal(again.code, 'Duplicate', when);
    assert.equal(again.task_id, first.task_id, when);
    await ended(me, first.task_id);
  }
  const other = { ...payload, ...job('/other', '/other') };
  assert.equal((await done(submitTransfer({ payload: other }, me))).task_id, first.task_id);

  const { tasks } = await sim.state();
  assert.deepEqual(
    tasks.filter((t) => t.submission_id === payload.submission_id).map((t) => t.submissions),
    [4],
  );
});

test('identical paths conflict until the first transfer has ended', async () => {
  const first = await unfinished('same');
  const again = async () =>
    submitTransfer({ payload: { submission_id: await submissionID(me), ...job('/same', '/same') } }, me);
  const doc = await refused(again(), 409, 'Conflict');
  assert.equal(doc.message, 'A transfer with identical paths has not yet completed');
  await done(task.cancel(first, {}, me));
  await ended(me, first, 'FAILED');
  const { task_id } = await done(again(), 202);
  await done(task.cancel(task_id, {}, me));
});

test('three tasks are worked on at once, and the fourth is queued', async () => {
  const ids = [];
  for (const name of ['q1', 'q2', 'q3', 'q4']) {
    ids.push(await unfinished(name));
  }
  const states = await Promise.all(ids.map(async (id) => (await done(task.get(id, {}, me))).nice_status));
  assert.deepEqual(states, ['OK', 'OK', 'OK', 'Queued']);
  for (const id of ids.reverse()) {
    await done(task.cancel(id, {}, me));
  }
});

test('a file is copied beside itself, and the task shows the folder if that is wanted', async () => {
  await plant(sim.path('lab'), { 'beside/a': '1' });
  const id = await submit(me, {
    ...job('/beside/a', '/beside/b', { store_base_path_info: true }),
    source_endpoint: lab.toUpperCase(),
    destination_endpoint: lab,
  });
  const doc = await ended(me, id);
  assert.deepEqual(await harvest(sim.path('lab', 'beside')), { a: '1', b: '1' });
  assert.equal(doc.source_endpoint_id, lab);
  assert.equal(doc.source_base_path, '/beside/');
  assert.equal(doc.destination_base_path, '/beside/');
});

const refusals = {
  'without items': { payload: { DATA: [] }, code: 'ClientError.BadRequest.NoTransferItems' },
  'without a submission id': { payload: { submission_id: undefined }, code: 'ClientError.BadRequest' },
  'of another kind': { payload: { DATA_TYPE: 'delete' }, code: 'ClientError.BadRequest' },
  'with a label that is too long': { payload: { label: 'x'.repeat(129) }, code: 'ClientError.BadRequest' },
  'with a label of two lines': { payload: { label: 'a\nb' }, code: 'ClientError.BadRequest' },
  'with a label in blanks': { payload: { label: ' a' }, code: 'ClientError.BadRequest' },
  'with an unknown sync level': { payload: { sync_level: 4 }, code: 'ClientError.BadRequest' },
  'with a deadline that is no time': { payload: { deadline: 'tomorrow' }, code: 'ClientError.BadRequest' },
  'to a collection that does not exist': {
    payload: { destination_endpoint: '00000000-0000-4000-8000-000000000000' },
    status: 404,
    code: 'EndpointNotFound',
  },
  'to a computer that is switched off': {
    payload: { destination_endpoint: sim.id('desk') },
    status: 409,
    code: 'GCDisconnectedException',
  },
};
for (const [what, { payload, status = 400, code }] of Object.entries(refusals)) {
  test(`a transfer ${what} is refused`, async () => {
    const whole = { submission_id: await submissionID(me), ...job('/refused', '/refused'), ...payload };
    await refused(submitTransfer({ payload: whole }, me), status, code);
  });
}

test('a null means that a field is not set', async () => {
  await plant(sim.path('lab'), { nulls: '' });
  const nulls = { label: null, sync_level: null, deadline: null, filter_rules: null, source_local_user: null };
  const doc = await ended(me, await submit(me, { ...job('/nulls', '/nulls'), ...nulls }));
  assert.equal(doc.label, null);
  assert.equal(doc.sync_level, null);
});

// erase submits a delete and returns the task's id.
async function erase(paths, more) {
  const payload = {
    submission_id: await submissionID(me),
    endpoint: vault,
    DATA: paths.map((path) => ({ DATA_TYPE: 'delete_item', path })),
    ...more,
  };
  const first = await done(submitDelete({ payload }, me), 202);
  assert.equal(first.DATA_TYPE, 'delete_result');
  assert.equal(first.resource, '/v0.10/delete');
  const again = await done(submitDelete({ payload }, me));
  assert.equal(again.code, 'Duplicate');
  assert.equal(again.task_id, first.task_id);
  return first.task_id;
}

test('a delete removes folders and files', async () => {
  await plant(sim.path('vault', 'waste'), { 'Größe/a b': '1', '100%': '2', 'keep': '3' });
  const doc = await ended(me, await erase(['/waste/Größe/', '/waste/100%'], { recursive: true }));
  assert.deepEqual(await harvest(sim.path('vault', 'waste')), { keep: '3' });
  assert.equal(doc.type, 'DELETE');
  assert.equal(doc.source_endpoint_id, vault);
  assert.equal(doc.destination_endpoint_id, null);
});

test('a delete expands patterns only if that is wanted', async () => {
  await plant(sim.path('vault', 'globs'), { 'a.tmp': '1', 'b.tmp': '2', '*.txt': '3', 'c.txt': '4' });
  await ended(me, await erase(['/globs/*.tmp'], { interpret_globs: true }));
  await ended(me, await erase(['/globs/*.txt']));
  assert.deepEqual(await harvest(sim.path('vault', 'globs')), { 'c.txt': '4' });
});

test('a delete of a missing path fails, unless that is to be ignored', async () => {
  const doc = await ended(me, await erase(['/missing']), 'FAILED');
  assert.equal(doc.fatal_error.code, 'FILE_NOT_FOUND');
  await ended(me, await erase(['/missing'], { ignore_missing: true }));
});

test('a delete of a folder fails if it is not recursive', async () => {
  await plant(sim.path('vault', 'full'), { file: '1' });
  await ended(me, await erase(['/full/']), 'FAILED');
  assert.deepEqual(await harvest(sim.path('vault', 'full')), { file: '1' });
});

// This is the last test here, since it leaves no room for another task.
test('a hundred tasks may be pending, and no more', async () => {
  await sim.order('tasks', { action: 'stall', times: -1 });
  for (let i = 0; i < 100; i++) {
    await submit(me, job(`/pending/${i}`, `/pending/${i}`));
  }
  const payload = { submission_id: await submissionID(me), ...job('/pending/100', '/pending/100') };
  await refused(submitTransfer({ payload }, me), 409, 'ClientError.Conflict.TooManyPendingJobs');
});
