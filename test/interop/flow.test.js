import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';

import { flows } from '@globus/sdk';

import { bearer, done, grant, until } from './globus.js';
import { startSim } from './sim.js';

const sim = await startSim({ lab: '', vault: '' });
after(() => sim.stop());
process.env.GLOBUS_SDK_SERVICE_URL_FLOWS = sim.url;

const service = 'https://auth.globus.org/scopes/eec9b274-0c81-4334-bdc2-54e90e689b9a/all';
const me = bearer((await grant(sim, service)).access_token);
const flow = await done(flows.flows.get(sim.flow, {}, me));
const starter = bearer((await grant(sim, flow.globus_auth_scope)).access_token);

// run starts the flow, which transfers a file, and returns the run.
function run(label, file) {
  const side = (name) => ({ id: sim.id(name), path: `/${file}` });
  const payload = { label, body: { source: side('lab'), destination: side('vault') } };
  return done(flows.flows.run(sim.flow, { payload }, starter), 201);
}

test('a run of a flow transfers, is found by its label, and has a log', async () => {
  await writeFile(sim.path('lab', 'f'), 'hello');
  const { run_id } = await run('nightly 1', 'f');
  const ended = await until(
    () => done(flows.runs.get(run_id, {}, me)),
    ({ status }) => status !== 'ACTIVE',
  );
  assert.deepEqual([ended.status, ended.details.code], ['SUCCEEDED', 'FlowSucceeded']);
  assert.equal(await readFile(sim.path('vault', 'f'), 'utf8'), 'hello');

  const listed = async (filter_label) => (await done(flows.runs.getAll({ query: { filter_label } }, me))).runs.map((r) => r.run_id);
  assert.deepEqual(await listed('NIGHTLY'), [run_id]);
  assert.deepEqual(await listed('weekly'), []);
  const { entries } = await done(flows.runs.getLog(run_id, { query: { limit: 100 } }, me));
  assert.deepEqual(
    entries.map(({ code }) => code),
    ['FlowStarted', 'ActionStarted', 'ActionCompleted', 'FlowSucceeded'],
  );
  await done(flows.runs.remove(run_id, {}, me));
  assert.deepEqual(await listed('nightly'), []);
});

test('a run of a flow is canceled', async () => {
  const { run_id } = await run('endless', 'missing');
  const canceled = await done(flows.runs.cancel(run_id, {}, me), 202);
  assert.deepEqual([canceled.status, canceled.details.code], ['FAILED', 'FlowCanceled']);
});

test('a flow wants a token of its own', async () => {
  const { error } = await done(flows.flows.run(sim.flow, { payload: { body: {} } }, me), 403);
  assert.equal(error.code, 'MISSING_SCOPE');
});
