import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { auth, errors, transfer } from '@globus/sdk';

import { basic, done, ended, login, refused, submissionID, transferAll } from './globus.js';
import { startSim } from './sim.js';
import { harvest, plant } from './tree.js';

const { endpoint, fileOperations, task, taskSubmission } = transfer;

const sim = await startSim({ lab: '', vault: '' });
after(() => sim.stop());
const me = await login(sim);
const lab = sim.id('lab');

const list = (who = me) => task.getAll({}, who);
const token = () =>
  auth.oauth2.token.token({
    payload: { grant_type: 'client_credentials', scope: transferAll },
    headers: basic(sim),
  });

test('a call without a token is refused', async () => {
  await refused(list({}), 400, 'ClientError.AuthenticationFailed');
});

test('a token that nobody gave is refused', async () => {
  const headers = { Authorization: 'Bearer nonsense' };
  await refused(task.getAll({ headers }), 401, 'AuthenticationFailed');
});

for (const how of ['expire', 'revoke']) {
  test(`after tokens ${how} a new one is good`, async () => {
    const old = await login(sim);
    await done(list(old));
    const { ended } = await sim.order(`tokens/${how}`, { client: sim.clientID });
    assert.ok(ended > 0);
    await refused(list(old), 401, 'AuthenticationFailed');
    Object.assign(me, await login(sim));
    await done(list());
  });
}

test('an overloaded service says so, and when to come again', async () => {
  await sim.order('faults', { path: '/v0.10/task_list', status: 503, code: 'ServiceUnavailable', retry_after: '7' });
  const response = await list();
  assert.equal(response.headers.get('retry-after'), '7');
  const doc = await refused(response, 503, 'ServiceUnavailable');
  assert.ok(errors.isErrorWellFormed(doc));
  await done(list());
});

test('a fault hits so many calls, and only those it is for', async () => {
  await sim.order('faults', { method: 'GET', path: '/v0.10/endpoint/*', times: 2, skip: 1, status: 429 });
  const statuses = [];
  for (let i = 0; i < 4; i++) {
    await done(list());
    statuses.push((await endpoint.get(lab, {}, me)).status);
  }
  assert.deepEqual(statuses, [200, 429, 429, 200]);
});

test('a page of a gateway is not JSON', async () => {
  await sim.order('faults', { path: '/v0.10/operation/...', status: 504, body: '<html>Gateway Time-out</html>' });
  const response = await fileOperations.ls(lab, {}, me);
  assert.equal(response.status, 504);
  assert.match(response.headers.get('content-type'), /^text\/html/);
  await assert.rejects(response.json());
  await done(fileOperations.ls(lab, {}, me));
});

test('an error of a collection passes through the gateway', async () => {
  const code = 'ExternalError.DirListingFailed.GCDisconnected';
  await sim.order('faults', { path: `/v0.10/operation/endpoint/${lab}/ls`, status: 502, code });
  await refused(fileOperations.ls(lab, {}, me), 502, code);
});

test('an answer may be half a document', async () => {
  await sim.order('faults', { path: '/v0.10/task_list', cut: 10 });
  const response = await list();
  assert.equal(response.status, 200);
  await assert.rejects(response.json());
  await done(list());
});

test('an answer may break off', async () => {
  await sim.order('faults', { path: '/v0.10/task_list', truncate: 10 });
  // The fetch that the SDK brings along for Node never notices; a browser's
  // does, and so does Node's own.
  const { access_token } = me.manager.tokens.transfer;
  const options = { __callable: fetch, headers: { Authorization: `Bearer ${access_token}` } };
  const response = await list({ fetch: { options } });
  assert.equal(response.status, 200);
  await assert.rejects(response.text());
  await done(list());
});

test('an answer may come late', async () => {
  await sim.order('faults', { path: '/v0.10/task_list', delay: '300ms' });
  const begin = Date.now();
  await done(list());
  assert.ok(Date.now() - begin >= 300);
});

test('the token service may fail as well', async () => {
  await sim.order('faults', { path: '/v2/oauth2/token', status: 503 });
  await done(token(), 503);
  await done(token());
});

// job is the payload of a transfer of one file.
async function job(name) {
  await plant(sim.path('lab'), { [name]: name });
  return {
    submission_id: await submissionID(me),
    source_endpoint: lab,
    destination_endpoint: sim.id('vault'),
    DATA: [{ DATA_TYPE: 'transfer_item', source_path: `/${name}`, destination_path: `/${name}` }],
  };
}

for (const [drop, code] of Object.entries({ before: 'Accepted', after: 'Duplicate' })) {
  test(`a connection that breaks ${drop} the submission leaves one task`, async () => {
    const payload = await job(`dropped ${drop}`);
    const submit = () => taskSubmission.submitTransfer({ payload }, me);
    await sim.order('faults', { method: 'POST', path: '/v0.10/transfer', drop });
    await assert.rejects(submit());
    const doc = await done(submit(), drop === 'before' ? 202 : 200);
    assert.equal(doc.code, code);
    await ended(me, doc.task_id);
    const { tasks } = await sim.state();
    assert.equal(tasks.filter((t) => t.submission_id === payload.submission_id).length, 1);
    assert.equal((await harvest(sim.path('vault')))[`dropped ${drop}`], `dropped ${drop}`);
  });
}

test('a gateway that gives up too early leaves one task', async () => {
  const payload = await job('gateway');
  const submit = () => taskSubmission.submitTransfer({ payload }, me);
  await sim.order('faults', { method: 'POST', path: '/v0.10/transfer', status: 502, after_effect: true });
  await done(submit(), 502);
  assert.equal((await done(submit())).code, 'Duplicate');
});

test('the requests can be looked up, with the name of the client', async () => {
  const { requests, routes } = await sim.state();
  assert.ok(routes['POST /v0.10/transfer'] >= 5);
  const posts = requests.filter((r) => r.method === 'POST' && r.path === '/v0.10/transfer');
  assert.equal(posts.length, routes['POST /v0.10/transfer']);
  assert.match(posts[0].client_info, /product=javascript-sdk,version=6\.2\.0/);
});

test('an unknown URL and a wrong method are refused as JSON', async () => {
  const { manager } = me;
  const headers = { Authorization: `Bearer ${manager.tokens.transfer.access_token}` };
  const call = (path, method) => fetch(new URL(path, sim.url), { method, headers });
  await refused(call('/v0.10/nonsense', 'GET'), 404, 'ClientError.NotFound');
  await refused(call('/v0.10/task_list/', 'GET'), 404, 'ClientError.NotFound');
  await refused(call('/v0.10/task_list', 'DELETE'), 405, 'ClientError.BadMethod');
});

test('a collection can be switched off and on again', async () => {
  await sim.order(`collections/${lab}`, { offline: true });
  await refused(fileOperations.ls(lab, {}, me), 502, 'ExternalError.DirListingFailed.GCDisconnected');
  await sim.order(`collections/${lab}`, { offline: false });
  assert.ok(Array.isArray((await done(fileOperations.ls(lab, {}, me))).DATA));
});
