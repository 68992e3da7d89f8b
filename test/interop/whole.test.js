// Every call of the SDK reaches something: what the simulator does not have, it says.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { auth, flows, groups, search, timers, transfer } from '@globus/sdk';

import { startSim } from './sim.js';

const sim = await startSim({ lab: '' });
after(() => sim.stop());
for (const service of ['FLOWS', 'GROUPS', 'SEARCH', 'TIMERS']) {
  process.env[`GLOBUS_SDK_SERVICE_URL_${service}`] = sim.url;
}

// calls are the functions of a service that send a request, by name.
function* calls(service, name) {
  for (const [key, value] of Object.entries(service)) {
    if (key === 'utils' || /^(is|get[A-Z].*Endpoint$)/.test(key)) {
      continue; // these send nothing
    }
    if (key === 'getAdminCancel') {
      continue; // the SDK sends a POST, and the service has a GET
    }
    if (typeof value === 'function') {
      yield [`${name}.${key}`, value];
    } else if (value && typeof value === 'object') {
      yield* calls(value, `${name}.${key}`);
    }
  }
}

const any = 'd9ff7c4e-cd4b-4a43-a1d7-4ee5f0d1f4d7';
// id is an id, and has all ids that a call may want.
const id = Object.assign(new String(any), { id: any, endpoint_xid: any, collection_id: any, rule_id: any, index_id: any, role_id: any });

// missing are the answers to what a service does not have.
const missing = ['No such resource', 'There is no such resource', 'Not Found', 'Method Not Allowed', 'is not allowed for this resource'];

for (const [name, service] of Object.entries({ auth, flows, groups, search, timers, transfer })) {
  for (const [call, send] of calls(service, name)) {
    test(`${call} is known`, async () => {
      const options = { query: {}, headers: { Authorization: 'Bearer nonsense' } };
      if (name === 'auth' && call.includes('token')) {
        options.payload = {};
      }
      // A call takes the options, or before them an id or an object of ids.
      const args = send.length % 2 ? [id, options] : [options];
      const response = await send(...args);
      const text = await response.text();
      assert.ok(!missing.some((words) => text.includes(words)), `${response.status} ${text}`);
    });
  }
}
