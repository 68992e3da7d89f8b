// What a browser asks before it lets a web page use the SDK.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { info, transfer } from '@globus/sdk';

import { login } from './globus.js';
import { startSim } from './sim.js';

const origin = 'http://localhost:5173';

const sim = await startSim({ lab: '' });
after(() => sim.stop());
const me = await login(sim);

// allows reports whether a list in a header names the value, or anything.
function allows(response, header, value) {
  const list = (response.headers.get(header) ?? '').toLowerCase().split(',').map((item) => item.trim());
  return list.includes('*') || list.includes(value.toLowerCase());
}

const preflights = {
  '/v2/oauth2/token': 'POST',
  '/v2/oauth2/userinfo': 'GET',
  '/v0.10/transfer': 'POST',
  '/v0.10/task_list': 'GET',
  '/v0.10/task/00000000-0000-4000-8000-000000000000': 'PUT',
};
for (const [path, method] of Object.entries(preflights)) {
  test(`a web page may ${method} ${path}`, async () => {
    const wanted = ['authorization', 'content-type', 'x-globus-client-info'];
    const response = await fetch(new URL(path, sim.url), {
      method: 'OPTIONS',
      headers: {
        'Origin': origin,
        'Access-Control-Request-Method': method,
        'Access-Control-Request-Headers': wanted.join(','),
      },
    });
    assert.ok(response.ok, `${response.status}`);
    assert.ok(allows(response, 'access-control-allow-origin', origin));
    assert.ok(allows(response, 'access-control-allow-methods', method));
    for (const header of wanted) {
      // An asterisk does not stand for Authorization.
      const list = response.headers.get('access-control-allow-headers').toLowerCase();
      assert.ok(list.split(',').some((item) => item.trim() === header), header);
    }
  });
}

test('a web page may read answers and errors', async () => {
  const options = { headers: { Origin: origin } };
  for (const who of [me, {}]) {
    const response = await transfer.task.getAll(options, who);
    assert.ok(allows(response, 'access-control-allow-origin', origin), `${response.status}`);
  }
});

test('the SDK says who it is', async () => {
  await transfer.task.getAll({}, me);
  const { requests } = await sim.state();
  assert.equal(requests.at(-1).client_info, info.getClientInfo());
});
