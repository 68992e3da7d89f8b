// What the tests ask of the SDK again and again.

import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

import { auth, authorization, transfer } from '@globus/sdk';

export const transferAll = 'urn:globus:auth:scope:transfer.api.globus.org:all';

// dataAccess is the scope that a mapped collection demands.
export function dataAccess(collection) {
  return `${transferAll}[*https://auth.globus.org/scopes/${collection}/data_access]`;
}

// done is the document of a call that succeeded.
export async function done(call, status = 200) {
  const response = await call;
  const text = await response.text();
  assert.equal(response.status, status, text);
  assert.match(response.headers.get('content-type'), /^application\/json\b/);
  return JSON.parse(text);
}

// refused is the document of a call that Transfer refused.
export async function refused(call, status, code) {
  const response = await call;
  const doc = await done(response, status);
  assert.equal(doc.code, code, doc.message);
  assert.ok(doc.message);
  assert.match(doc.request_id, /^[A-Za-z0-9]{9}$/);
  assert.match(doc.resource, /^\//);
  assert.equal(response.headers.get('x-transfer-api-error'), code);
  return doc;
}

// until asks again and again, until the answer is as wanted, and returns it.
export async function until(ask, wanted) {
  for (;;) {
    const answer = await ask();
    if (wanted(answer)) {
      return answer;
    }
    await sleep(50);
  }
}

// basic are the headers of an account that shows its secret.
export function basic(sim, secret = sim.clientSecret) {
  const pair = Buffer.from(`${sim.clientID}:${secret}`).toString('base64');
  return { Authorization: `Basic ${pair}` };
}

// grant asks for tokens of the scopes.
export function grant(sim, ...scopes) {
  return done(
    auth.oauth2.token.token({
      payload: { grant_type: 'client_credentials', scope: scopes.join(' ') },
      headers: basic(sim),
    }),
  );
}

// login returns SDK options with a manager that holds tokens of the scopes.
export async function login(sim, ...scopes) {
  const manager = authorization.create({ client: sim.clientID, redirect: sim.url, scopes: transferAll });
  manager.addTokenResponse(await grant(sim, ...(scopes.length > 0 ? scopes : [transferAll])));
  return { manager };
}

// bearer returns SDK options with this one token.
export function bearer(token) {
  return { fetch: { options: { headers: { Authorization: `Bearer ${token}` } } } };
}

// submissionID gets an id to submit a task with.
export async function submissionID(me) {
  return (await done(transfer.taskSubmission.submissionId({}, me))).value;
}

// submit submits a transfer and returns the task's id.
export async function submit(me, payload) {
  const submission_id = await submissionID(me);
  const call = transfer.taskSubmission.submitTransfer({ payload: { submission_id, ...payload } }, me);
  return (await done(call, 202)).task_id;
}

// eventually polls a task until it is as wanted.
export async function eventually(me, id, wanted) {
  for (const deadline = Date.now() + 15_000; ; await sleep(20)) {
    const task = await done(transfer.task.get(id, {}, me));
    if (wanted(task)) {
      return task;
    }
    assert.ok(Date.now() < deadline, `the task stays ${JSON.stringify(task)}`);
  }
}

// ended waits for the end of a task.
export async function ended(me, id, status = 'SUCCEEDED') {
  const task = await eventually(me, id, (task) => ['SUCCEEDED', 'FAILED'].includes(task.status));
  assert.equal(task.status, status, JSON.stringify(task));
  return task;
}
