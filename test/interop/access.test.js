import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { transfer } from '@globus/sdk';

import { done, login, refused } from './globus.js';
import { startSim } from './sim.js';

const { access } = transfer;

const sim = await startSim({ lab: '' });
after(() => sim.stop());
const me = await login(sim);
const lab = sim.id('lab');

const rule = {
  DATA_TYPE: 'access',
  principal_type: 'identity',
  principal: '00000000-0000-4000-8000-000000000001',
  path: '/out/',
  permissions: 'r',
};

test('an access rule is made, listed, changed and deleted', async () => {
  const made = await done(access.create(lab, { payload: rule }, me), 201);
  assert.deepEqual([made.DATA_TYPE, made.code], ['access_create_result', 'Created']);
  const at = { endpoint_xid: lab, id: made.access_id };
  await refused(access.create(lab, { payload: rule }, me), 409, 'Exists');

  const { DATA } = await done(access.getAll(lab, {}, me));
  assert.deepEqual(DATA.map(({ principal, path }) => [principal, path]), [['', '/'], [rule.principal, '/out/']]);

  const payload = { ...rule, permissions: 'rw', expiration_date: '2030-01-01' };
  assert.equal((await done(access.update(at, { payload }, me))).code, 'Updated');
  const changed = await done(access.get(at, {}, me));
  assert.deepEqual([changed.permissions, changed.expiration_date], ['rw', '2030-01-01T00:00:00+00:00']);

  assert.equal((await done(access.remove(at, {}, me))).code, 'Deleted');
  await refused(access.get(at, {}, me), 404, 'AccessRuleNotFound');
});

test('an access rule for a file is refused', async () => {
  await refused(access.create(lab, { payload: { ...rule, path: '/out' } }, me), 400, 'InvalidPath');
});
