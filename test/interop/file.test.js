import assert from 'node:assert/strict';
import { access, mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { after, test } from 'node:test';

import { transfer } from '@globus/sdk';

import { done, login, refused } from './globus.js';
import { startSim } from './sim.js';
import { keeps } from './types.js';

const { fileOperations, utils } = transfer;

// Names that go wrong wherever somebody encodes twice, or not at all.
const oddNames = [
  'a b', 'Größe.txt', '100%.txt', '%41.txt', 'a#b', 'what?', 'a+b', "it's", 'a&b=c', '日本', 'x;y,z',
];

const sim = await startSim({ lab: 'home=/start/', frozen: 'access=r', closed: 'access=none' });
after(() => sim.stop());
const me = await login(sim);
const lab = sim.id('lab');

await mkdir(sim.path('lab', 'start'));
await mkdir(sim.path('lab', 'data', 'sub'), { recursive: true });
for (const [name, size] of Object.entries({ 'a.csv': 3, 'b.csv': 200, 'c.txt': 10, '.hidden': 1 })) {
  await writeFile(sim.path('lab', 'data', name), 'x'.repeat(size));
}
await utimes(sim.path('lab', 'data', 'a.csv'), 0, Date.UTC(2026, 2, 1, 4, 5, 6) / 1000);
await symlink('a.csv', sim.path('lab', 'data', 'link'));
await symlink('nowhere', sim.path('lab', 'data', 'broken'));
await mkdir(sim.path('lab', 'odd'));
for (const name of oddNames) {
  await writeFile(sim.path('lab', 'odd', name), name);
}

const ls = (query, collection = lab) => fileOperations.ls(collection, { query }, me);
const names = async (query) => (await done(ls(query))).DATA.map((row) => row.name);

test('a listing describes its folder and each entry', async () => {
  const list = await done(ls({ path: '/data/' }));
  assert.equal(list.endpoint, lab);
  assert.equal(list.path, '/data/');
  assert.equal(list.absolute_path, '/data/');
  assert.equal(list.length, 7);
  assert.equal(list.total, 7);
  await keeps(list, 'file-operations', 'FileListDocument');
  for (const row of list.DATA) {
    assert.ok(utils.isFileDocument(row), row.name);
    assert.equal(utils.isDirectory(row), row.name === 'sub');
    await keeps(row, 'file-operations', 'FileDocument');
  }
  const rows = Object.fromEntries(list.DATA.map((row) => [row.name, row]));
  assert.equal(rows['a.csv'].size, 3);
  assert.equal(rows['a.csv'].last_modified, '2026-03-01 04:05:06+00:00');
  assert.match(rows['a.csv'].permissions, /^0[0-7]{3}$/);
  assert.equal(rows['a.csv'].link_target, null);
  assert.equal(rows.link.type, 'file');
  assert.equal(rows.link.link_target, 'a.csv');
  assert.equal(rows.broken.type, 'invalid_symlink');
});

test('a path needs no slash at its end', async () => {
  const list = await done(ls({ path: '/data' }));
  assert.equal(list.path, '/data/');
});

test('without a path the default directory is listed', async () => {
  const list = await done(fileOperations.ls(lab, {}, me));
  assert.equal(list.absolute_path, '/start/');
  assert.deepEqual(list.DATA, []);
});

const listings = {
  'hidden files are shown': { query: {}, want: ['.hidden', 'a.csv', 'b.csv', 'broken', 'c.txt', 'link', 'sub'] },
  'show_hidden=false': {
    query: { show_hidden: false },
    want: ['a.csv', 'b.csv', 'broken', 'c.txt', 'link', 'sub'],
  },
  'show_hidden=0': { query: { show_hidden: 0, filter: 'type:file' }, want: ['a.csv', 'b.csv', 'c.txt', 'link'] },
  'show_hidden=true': { query: { show_hidden: 'true', filter: 'name:.hidden' }, want: ['.hidden'] },
  'one name': { query: { filter: 'name:a.csv' }, want: ['a.csv'] },
  'one of two names': { query: { filter: 'name:a.csv,c.txt' }, want: ['a.csv', 'c.txt'] },
  'a pattern': { query: { filter: 'name:~*.csv' }, want: ['a.csv', 'b.csv'] },
  'not a pattern': { query: { filter: 'name:!~*.csv/type:file' }, want: ['.hidden', 'c.txt', 'link'] },
  'two clauses': { query: { filter: 'name:~*.csv/size:>100' }, want: ['b.csv'] },
  'two patterns as an array': { query: { filter: ['name:~*.csv', '~*.txt'] }, want: ['a.csv', 'b.csv', 'c.txt'] },
  'folders': { query: { filter: 'type:dir' }, want: ['sub'] },
  'by time': { query: { filter: 'last_modified:2026-03-01,2026-03-02' }, want: ['a.csv', 'link'] },
  'a filter that is null': { query: { filter: null, limit: 1 }, want: ['.hidden'] },
  'by size, largest first': {
    query: { filter: 'type:file', orderby: 'size DESC', show_hidden: 'false', limit: 2 },
    want: ['b.csv', 'c.txt'],
  },
  'by two fields': {
    query: { filter: 'type:file,dir', orderby: ['type DESC', 'name DESC'] },
    want: ['link', 'c.txt', 'b.csv', 'a.csv', '.hidden', 'sub'],
  },
  'a page': { query: { orderby: 'name', limit: 2, offset: 1 }, want: ['a.csv', 'b.csv'] },
  'a page behind the end': { query: { offset: 99 }, want: [] },
};
for (const [what, { query, want }] of Object.entries(listings)) {
  test(`listing: ${what}`, async () => {
    assert.deepEqual(await names({ path: '/data/', orderby: 'name', ...query }), want);
  });
}

test('an unknown filter is refused', async () => {
  await refused(ls({ path: '/data/', filter: 'color:red' }), 400, 'ClientError.BadRequest');
});

test('a missing folder is not found', async () => {
  await refused(ls({ path: '/nowhere/' }), 404, 'ClientError.NotFound');
});

test('a file is no folder', async () => {
  await refused(ls({ path: '/data/a.csv' }), 502, 'ExternalError.DirListingFailed.NotDirectory');
});

test('a path never leaves its collection', async () => {
  const list = await done(ls({ path: '/../../data/../../' }));
  assert.deepEqual(list.DATA.map((row) => row.name).sort(), ['data', 'odd', 'start']);
});

test('odd names are listed as they are', async () => {
  assert.deepEqual((await names({ path: '/odd/' })).sort(), [...oddNames].sort());
});

const stat = (path, collection = lab) => fileOperations.stat(collection, { query: { path } }, me);

test('stat describes one path', async () => {
  const doc = await done(stat('/data/a.csv'));
  assert.equal(doc.name, 'a.csv');
  assert.equal(doc.size, 3);
  await keeps(doc, 'file-operations', 'FileDocument');
  assert.ok(utils.isDirectory(await done(stat('/data/sub/'))));
});

test('stat of a missing path is not found', async () => {
  await refused(stat('/data/none'), 404, 'NotFound');
});

test('stat without a path describes the default directory', async () => {
  const doc = await done(fileOperations.stat(lab, {}, me));
  assert.equal(doc.DATA_TYPE, 'file');
  assert.equal(doc.type, 'dir');
});

for (const name of oddNames) {
  test(`stat, mkdir and rename take the name ${name}`, async () => {
    assert.equal((await done(stat(`/odd/${name}`))).name, name);

    const made = `/start/${name}`;
    await done(fileOperations.mkdir(lab, { payload: { path: made } }, me), 202);
    await access(sim.path('lab', 'start', name));
    const list = await done(ls({ path: made }));
    assert.equal(list.path, `${made}/`);

    const payload = { old_path: made, new_path: `${made}-${name}` };
    await done(fileOperations.rename(lab, { payload }, me));
    await access(sim.path('lab', 'start', `${name}-${name}`));
  });
}

test('mkdir makes a folder, and the second time it fails', async () => {
  const mkdirOnce = () => fileOperations.mkdir(lab, { payload: { path: '/~/fresh/' } }, me);
  const doc = await done(mkdirOnce(), 202);
  assert.equal(doc.DATA_TYPE, 'mkdir_result');
  assert.equal(doc.code, 'DirectoryCreated');
  await access(sim.path('lab', 'start', 'fresh'));
  await refused(mkdirOnce(), 502, 'ExternalError.MkdirFailed.Exists');
});

test('mkdir makes no parents', async () => {
  const response = await fileOperations.mkdir(lab, { payload: { path: '/none/such' } }, me);
  assert.match((await done(response, 502)).code, /^ExternalError\.MkdirFailed\./);
});

test('rename moves a file', async () => {
  await writeFile(sim.path('lab', 'start', 'old'), 'content');
  const payload = { old_path: '/start/old', new_path: '/data/sub/new' };
  const doc = await done(fileOperations.rename(lab, { payload }, me));
  assert.equal(doc.code, 'FileRenamed');
  assert.equal(await readFile(sim.path('lab', 'data', 'sub', 'new'), 'utf8'), 'content');
  const again = await done(fileOperations.rename(lab, { payload }, me), 502);
  assert.match(again.code, /^ExternalError\.RenameFailed\./);
});

test('symlink makes a link', async () => {
  const payload = { path: '/start/shortcut', symlink_target: '../data/c.txt' };
  await done(fileOperations.symlink(lab, { payload }, me), 202);
  const doc = await done(stat('/start/shortcut'));
  assert.equal(doc.link_target, '../data/c.txt');
  assert.equal(doc.size, 10);
});

test('a document of another kind is refused', async () => {
  const payload = { DATA_TYPE: 'rename', path: '/start/other' };
  await refused(fileOperations.mkdir(lab, { payload }, me), 400, 'ClientError.BadRequest');
});

test('a line end in a path is refused', async () => {
  await refused(fileOperations.mkdir(lab, { payload: { path: '/start/a\nb' } }, me), 400, 'InvalidPath');
  await refused(ls({ path: '/a\r\nb/' }), 400, 'InvalidPath');
});

test('a pause rule stops the operations that it names', async () => {
  const rule = await sim.order('pauses', { endpoint_id: lab, message: 'Maintenance', pause_ls: true });
  const doc = await refused(ls({ path: '/' }), 409, 'OperationPaused');
  assert.match(doc.message, /Maintenance/);
  await done(stat('/data'));
  await sim.withdraw(`pauses/${rule.id}`);
  await done(ls({ path: '/' }));
});

test('a guest collection is closed to those without an access rule', async () => {
  const closed = sim.id('closed');
  for (const call of [ls({ path: '/' }, closed), stat('/x', closed)]) {
    const response = await call;
    assert.match((await done(response, 403)).code, /^(Endpoint)?PermissionDenied$/);
  }
});

test('a collection that may be read is not written to', async () => {
  const frozen = sim.id('frozen');
  await done(ls({ path: '/' }, frozen));
  const doc = await done(fileOperations.mkdir(frozen, { payload: { path: '/x' } }, me), 403);
  assert.match(doc.code, /PermissionDenied$/);
});
