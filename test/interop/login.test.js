import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { after, afterEach, beforeEach, test } from 'node:test';

import { auth, authorization, transfer } from '@globus/sdk';

import { bearer, dataAccess, done, transferAll } from './globus.js';
import { startSim } from './sim.js';

const { token } = auth.oauth2;

const sim = await startSim({ lab: '', vault: 'type=mapped' });
after(() => sim.stop());

const redirect = 'http://localhost:3000/back';

// A Storage is one of a browser, whose entries are its properties.
class Storage {
  getItem(name) {
    return this[name] ?? null;
  }

  setItem(name, value) {
    this[name] = value;
  }

  removeItem(name) {
    delete this[name];
  }
}

// A Browser is as much of one as the SDK uses to log in. The SDK finds its
// settings there, too.
class Browser {
  constructor() {
    Object.assign(this, process.env);
    this.location = { href: redirect, assign: (url) => (this.location.href = `${url}`) };
  }

  // decide opens the page that the SDK went to, does there what a person does,
  // and goes where that leads.
  async decide(decision) {
    const address = new URL(this.location.href);
    const page = await (await fetch(address)).text();
    const [, identity] = /<input type="radio" name="identity" id="([^"]*)"/.exec(page) ?? assert.fail(page);
    const body = new URLSearchParams([...address.searchParams, ['identity', identity], ['decision', decision]]);
    address.search = '';
    const response = await fetch(address, { method: 'POST', body, redirect: 'manual' });
    assert.equal(response.status, 303, await response.text());
    this.location.href = response.headers.get('location');
    return new URL(this.location.href).searchParams;
  }
}

let browser;
beforeEach(() => {
  browser = new Browser();
  Object.assign(globalThis, { window: browser, sessionStorage: new Storage() });
});
afterEach(() => {
  delete globalThis.window;
  delete globalThis.sessionStorage;
});

// newManager returns the SDK's manager of a person's tokens.
function newManager(options = {}) {
  return authorization.create({ client: sim.nativeApp, redirect, scopes: transferAll, storage: new Storage(), ...options });
}

// loggedIn returns a manager with the tokens of a login.
async function loggedIn(options) {
  const manager = newManager(options);
  await manager.login();
  await browser.decide('allow');
  await manager.handleCodeRedirect({ shouldReplace: false, includeConsentedScopes: true });
  return manager;
}

// denied asserts that the token endpoint refuses a grant.
async function denied(payload, error = 'invalid_grant', status = 401) {
  const doc = await done(token.token({ payload: { client_id: sim.nativeApp, ...payload } }), status);
  assert.equal(doc.error, error);
}

test('a person logs in and works', async () => {
  const manager = await loggedIn();
  assert.equal(manager.authenticated, true);
  assert.equal(manager.tokens.transfer.scope, transferAll);
  assert.equal(manager.tokens.transfer.refresh_token, undefined);
  assert.deepEqual(manager.tokens.auth.scope.split(' ').sort(), ['email', 'openid', 'profile']);
  assert.equal(manager.user.aud, sim.nativeApp);

  const who = await done(auth.oauth2.userinfo({}, bearer(manager.tokens.auth.access_token)));
  assert.equal(who.sub, manager.user.sub);
  assert.equal(who.preferred_username, manager.user.preferred_username);
  await done(transfer.task.getAll({}, { manager }));
});

test('the id_token of a person is signed with the published key', async () => {
  const [header, claims, signature] = (await loggedIn()).tokens.auth.id_token.split('.');
  const { keys } = await done(fetch(new URL('/jwk.json', sim.url)));
  const key = createPublicKey({ key: keys[0], format: 'jwk' });
  assert.ok(verify('RSA-SHA512', Buffer.from(`${header}.${claims}`), key, Buffer.from(signature, 'base64url')));
});

test('the person refuses', async () => {
  const manager = newManager();
  await manager.login();
  const answer = await browser.decide('refuse');
  assert.equal(answer.get('error'), 'access_denied');
  await assert.rejects(manager.handleCodeRedirect({ shouldReplace: false }), /refused/);
  assert.equal(manager.authenticated, false);
});

test('a code is good once, and for its verifier and redirect only', async () => {
  const manager = newManager();
  await manager.login();
  const spoiled = (await browser.decide('allow')).get('code');
  const payload = { grant_type: 'authorization_code', redirect_uri: redirect };
  await denied({ ...payload, code: spoiled, code_verifier: 'x'.repeat(43) });

  await manager.login();
  const code = (await browser.decide('allow')).get('code');
  const code_verifier = sessionStorage.getItem('pkce_code_verifier');
  await manager.handleCodeRedirect({ shouldReplace: false });
  await denied({ ...payload, code, code_verifier });

  await manager.login();
  const fresh = {
    ...payload,
    code: (await browser.decide('allow')).get('code'),
    code_verifier: sessionStorage.getItem('pkce_code_verifier'),
  };
  await denied({ ...fresh, client_id: sim.clientID }, 'invalid_client');
  await denied({ ...fresh, redirect_uri: 'http://localhost:3000/other' });
});

test('refresh tokens renew all tokens', async () => {
  const manager = await loggedIn({ useRefreshTokens: true });
  const before = manager.tokens.transfer;
  assert.ok(before.refresh_token);
  await sim.order('tokens/expire');
  assert.equal((await transfer.task.getAll({}, { manager, preventRetry: true })).status, 200, 'the SDK renews by itself');
  assert.notEqual(manager.tokens.transfer.access_token, before.access_token);

  const again = { grant_type: 'refresh_token', refresh_token: before.refresh_token };
  await denied({ ...again, client_id: sim.clientID }, 'invalid_client');
  await denied({ ...again, refresh_token: 'nonsense' });
  await done(token.revoke({ payload: { client_id: sim.nativeApp, token: before.refresh_token } }));
  await denied(again);
});

test('a consent that is missing is asked for in the browser', async () => {
  const manager = await loggedIn();
  const vault = sim.id('vault');
  const list = () => transfer.fileOperations.ls(vault, {}, { manager });
  const doc = await done(list(), 403);
  await manager.handleErrorResponse(doc);
  assert.match(new URL(browser.location.href).searchParams.get('scope'), new RegExp(vault));
  await browser.decide('allow');
  await manager.handleCodeRedirect({ shouldReplace: false });
  assert.equal(manager.tokens.transfer.scope, transferAll);
  assert.equal(doc.required_scopes[0], dataAccess(vault));
  await done(list());
});

test('a login ends with the revocation of its tokens', async () => {
  const manager = await loggedIn();
  const { access_token } = manager.tokens.transfer;
  await manager.revoke();
  assert.equal(manager.authenticated, false);
  await done(transfer.task.getAll({}, bearer(access_token)), 401);
});

test('a native app learns nothing about tokens', async () => {
  const manager = await loggedIn();
  const payload = { client_id: sim.nativeApp, token: manager.tokens.transfer.access_token };
  await done(token.introspect({ payload }), 401);
});
