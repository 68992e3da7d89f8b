import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';

import { errors, transfer } from '@globus/sdk';

import { bearer, dataAccess, done, ended, grant, login, refused, submissionID, submit, transferAll } from './globus.js';
import { startSim } from './sim.js';
import { harvest, plant } from './tree.js';

const { endpoint, fileOperations, taskSubmission } = transfer;

const policy = '5d5b0000-0000-4000-8000-000000000001';

const sim = await startSim({
  lab: 'type=mapped',
  vault: 'type=mapped',
  clinic: 'type=mapped-ha',
  office: `type=mapped-ha,policy=${policy}`,
});
after(() => sim.stop());
beforeEach(() => sim.order('consents/rescind'));

const me = await login(sim);
const [lab, vault] = [sim.id('lab'), sim.id('vault')];

// missing asserts that a call lacks a consent, and returns what is to be asked
// for.
async function missing(call) {
  const doc = await refused(call, 403, 'ConsentRequired');
  assert.ok(errors.isErrorWellFormed(doc));
  assert.ok(errors.isConsentRequiredError(doc));
  assert.ok(errors.isAuthorizationRequirementsError(doc));
  assert.deepEqual(doc.authorization_parameters.required_scopes, doc.required_scopes);
  assert.equal(doc.authorization_parameters.session_message, doc.message);
  assert.equal(errors.toAuthorizationQueryParams(doc).scope, doc.required_scopes.join(' '));
  assert.equal(typeof (await me.manager.handleErrorResponse(doc, { execute: false })), 'function');
  return doc.required_scopes;
}

const operations = {
  ls: () => fileOperations.ls(lab, { query: { path: '/' } }, me),
  stat: () => fileOperations.stat(lab, { query: { path: '/' } }, me),
  mkdir: () => fileOperations.mkdir(lab, { payload: { path: '/x' } }, me),
  rename: () => fileOperations.rename(lab, { payload: { old_path: '/x', new_path: '/y' } }, me),
};
for (const [name, call] of Object.entries(operations)) {
  test(`${name} on a mapped collection needs a consent`, async () => {
    assert.deepEqual(await missing(call()), [dataAccess(lab)]);
  });
}

test('a collection is described without a consent', async () => {
  await done(endpoint.get(lab, {}, me));
});

test('once a consent was asked for, the old token is good enough', async () => {
  const scopes = await missing(operations.ls());
  await grant(sim, ...scopes); // its tokens are thrown away
  await done(operations.ls());
  const response = await operations.rename();
  assert.notEqual(response.status, 403);
});

test('a consent holds for one collection', async () => {
  await grant(sim, dataAccess(vault));
  assert.deepEqual(await missing(operations.ls()), [dataAccess(lab)]);
});

test('a token without the consent in its request has it as well', async () => {
  await grant(sim, dataAccess(lab));
  const { access_token } = await grant(sim, transferAll);
  await done(fileOperations.ls(lab, {}, bearer(access_token)));
});

test('a transfer asks for both consents at once, and then goes through', async () => {
  await plant(sim.path('lab'), { 'a file': 'content' });
  const payload = {
    submission_id: await submissionID(me),
    source_endpoint: lab,
    destination_endpoint: vault,
    DATA: [{ DATA_TYPE: 'transfer_item', source_path: '/a file', destination_path: '/a copy' }],
  };
  const scopes = await missing(taskSubmission.submitTransfer({ payload }, me));
  const access = (id) => `*https://auth.globus.org/scopes/${id}/data_access`;
  assert.deepEqual(scopes, [`${transferAll}[${access(lab)} ${access(vault)}]`]);
  await grant(sim, ...scopes);
  const { task_id, code } = await done(taskSubmission.submitTransfer({ payload }, me), 202);
  assert.equal(code, 'Accepted');
  await ended(me, task_id);
  assert.deepEqual(await harvest(sim.path('vault')), { 'a copy': 'content' });
});

test('a delete needs a consent', async () => {
  const payload = {
    submission_id: await submissionID(me),
    endpoint: lab,
    ignore_missing: true,
    DATA: [{ DATA_TYPE: 'delete_item', path: '/nothing' }],
  };
  assert.deepEqual(await missing(taskSubmission.submitDelete({ payload }, me)), [dataAccess(lab)]);
});

test('a high assurance collection needs no consent', async () => {
  await done(fileOperations.ls(sim.id('clinic'), {}, me));
});

test('a session that is required is told as such', async () => {
  const doc = await refused(fileOperations.ls(sim.id('office'), {}, me), 403, 'AuthorizationRequired');
  assert.ok(errors.isAuthorizationRequirementsError(doc));
  assert.ok(!errors.isConsentRequiredError(doc));
  assert.equal(errors.toAuthorizationQueryParams(doc).session_required_policies, policy);
  const id = submit(me, {
    source_endpoint: sim.id('office'),
    destination_endpoint: sim.id('clinic'),
    DATA: [{ source_path: '/a', destination_path: '/b' }],
  });
  await assert.rejects(id, /AuthorizationRequired/);
});
