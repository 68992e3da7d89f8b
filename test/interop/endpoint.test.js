import assert from 'node:assert/strict';
import { after, test } from 'node:test';

import { transfer } from '@globus/sdk';

import { done, login, refused } from './globus.js';
import { startSim } from './sim.js';
import { keeps } from './types.js';

const { endpoint, endpointSearch, fileOperations, utils } = transfer;

const kinds = {
  'interop-guest': { options: 'home=/start/', type: 'GCSv5_guest_collection' },
  'interop-mapped': { options: 'type=mapped', type: 'GCSv5_mapped_collection' },
  'interop-secure': { options: 'type=mapped-ha', type: 'GCSv5_mapped_collection', secure: true },
  'interop-laptop': { options: 'type=gcp', type: 'GCP_mapped_collection', connected: true },
  'interop-desk': { options: 'type=gcp,offline', type: 'GCP_mapped_collection', connected: false },
  'interop-shared': { options: 'type=gcp-guest', type: 'GCP_guest_collection', connected: true },
};
const unknown = '00000000-0000-4000-8000-000000000000';

const sim = await startSim(Object.fromEntries(Object.entries(kinds).map(([name, { options }]) => [name, options])));
after(() => sim.stop());
const me = await login(sim);

for (const [name, { options, type, secure = false, connected = null }] of Object.entries(kinds)) {
  test(`a collection with ${options} is a ${type}`, async () => {
    const doc = await done(endpoint.get(sim.id(name), {}, me));
    assert.equal(doc.DATA_TYPE, 'endpoint');
    assert.equal(doc.id, sim.id(name));
    assert.equal(doc.display_name, name);
    assert.equal(doc.entity_type, type);
    assert.equal(doc.high_assurance, secure);
    assert.equal(doc.gcp_connected, connected);
    assert.equal(doc.non_functional, false);
    assert.equal(doc.default_directory, options.startsWith('home=') ? '/start/' : null);
    assert.equal(utils.getDomainFromEndpoint(doc) === null, connected !== null);
  });
}

// The fields of an endpoint document that say nothing about moving files.
const extras = [
  'acl_max_expiration_period_mins',
  'auto_delete_timeout',
  'guest_collection_activity_notification_policy',
  'preserve_modtime',
  'restrict_transfers_to_high_assurance',
  'skip_auto_delete',
  'subscription_admin_verified',
];

test('an endpoint document keeps the promises of the SDK', async () => {
  for (const name of Object.keys(kinds)) {
    await keeps(await done(endpoint.get(sim.id(name), {}, me)), 'endpoint', 'EndpointDocument', ...extras);
  }
});

test('an endpoint document is complete', async () => {
  await keeps(await done(endpoint.get(sim.id('interop-guest'), {}, me)), 'endpoint', 'EndpointDocument');
});

test('an id may be written in upper case', async () => {
  const doc = await done(endpoint.get(sim.id('interop-guest').toUpperCase(), {}, me));
  assert.equal(doc.id, sim.id('interop-guest'));
});

test('an unknown collection is not found', async () => {
  const doc = await refused(endpoint.get(unknown, {}, me), 404, 'EndpointNotFound');
  assert.match(doc.message, new RegExp(unknown));
  await refused(fileOperations.ls(unknown, {}, me), 404, 'EndpointNotFound');
  await refused(fileOperations.mkdir(unknown, { payload: { path: '/x' } }, me), 404, 'EndpointNotFound');
});

// search returns the pages of a search.
async function search(query) {
  const pages = [];
  for (let offset = 0; ; ) {
    const page = await done(endpointSearch({ query: { ...query, offset } }, me));
    assert.equal(page.DATA_TYPE, 'endpoint_list');
    assert.equal(page.offset, offset);
    assert.equal(typeof page.has_next_page, 'boolean');
    pages.push(page.DATA);
    offset += page.DATA.length;
    if (!page.has_next_page) {
      return pages;
    }
  }
}

const names = (pages) => pages.flat().map((row) => row.display_name).sort();

test('a search has as many pages as it takes', async () => {
  const pages = await search({ filter_fulltext: 'interop', limit: 4 });
  assert.deepEqual(pages.map((page) => page.length), [4, 2]);
  assert.deepEqual(names(pages), Object.keys(kinds).sort());
  for (const row of pages.flat()) {
    assert.equal(row.DATA_TYPE, 'endpoint');
    assert.equal(typeof row._rank, 'number');
  }
});

test('a page that is exactly full may be the last', async () => {
  const pages = await search({ filter_fulltext: 'interop', limit: 3 });
  assert.deepEqual(pages.map((page) => page.length), [3, 3]);
});

const searches = {
  'all words must match': { query: { filter_fulltext: 'interop lap' }, want: ['interop-laptop'] },
  'nothing matches': { query: { filter_fulltext: 'elsewhere' }, want: [] },
  'letter case does not matter': { query: { filter_fulltext: 'LAPTOP' }, want: ['interop-laptop'] },
  'by kind': {
    query: { filter_fulltext: 'interop', filter_entity_type: 'GCP_guest_collection' },
    want: ['interop-shared'],
  },
  'with a parameter that is null': {
    query: { filter_fulltext: 'guest', filter_non_functional: null, filter_scope: 'all' },
    want: ['interop-guest'],
  },
  'only those that do not work': { query: { filter_fulltext: 'interop', filter_non_functional: 1 }, want: [] },
  'the own ones of the service account': { query: { filter_scope: 'my-endpoints' }, want: Object.keys(kinds).sort() },
};
for (const [what, { query, want }] of Object.entries(searches)) {
  test(`search: ${what}`, async () => {
    assert.deepEqual(names(await search(query)), want);
  });
}

test('fields leaves only the fields that are named', async () => {
  const query = { filter_fulltext: 'laptop', fields: ['id', 'display_name'] };
  const { DATA } = await done(endpointSearch({ query }, me));
  assert.deepEqual(DATA, [{ id: sim.id('interop-laptop'), display_name: 'interop-laptop' }]);
});

test('a search everywhere needs a text', async () => {
  await refused(endpointSearch({ query: { filter_scope: 'all' } }, me), 400, 'ClientError.BadRequest');
});

test('a collection in use is found as such', async () => {
  assert.deepEqual(names(await search({ filter_scope: 'in-use' })), []);
});

test('a computer that is switched off lists nothing', async () => {
  await refused(
    fileOperations.ls(sim.id('interop-desk'), {}, me),
    502,
    'ExternalError.DirListingFailed.GCDisconnected',
  );
});
