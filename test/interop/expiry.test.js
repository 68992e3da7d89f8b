import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, test } from 'node:test';

import { auth, transfer } from '@globus/sdk';

import { basic, bearer, done, grant, refused, transferAll } from './globus.js';
import { startSim } from './sim.js';

const sim = await startSim({}, '--token-lifetime', '1s');
after(() => sim.stop());

test('a token ends when it said it would', async () => {
  const { access_token, expires_in } = await grant(sim, transferAll);
  assert.equal(expires_in, 1);
  await done(transfer.task.getAll({}, bearer(access_token)));
  await sleep(1100);
  await refused(transfer.task.getAll({}, bearer(access_token)), 401, 'AuthenticationFailed');
  const payload = { token: access_token };
  const doc = await done(auth.oauth2.token.introspect({ payload, headers: basic(sim) }));
  assert.deepEqual(doc, { active: false });
});
