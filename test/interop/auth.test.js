import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { after, test } from 'node:test';

import { auth, authorization, transfer } from '@globus/sdk';

import { basic, bearer, dataAccess, done, grant, refused, transferAll } from './globus.js';
import { startSim } from './sim.js';

const { oauth2, identities, utils } = auth;

const sim = await startSim({ lab: '', vault: 'type=mapped', clinic: 'type=mapped-ha', laptop: 'type=gcp' });
after(() => sim.stop());

const username = `${sim.clientID}@clients.auth.globus.org`;

// denied is the document of a call that Auth refused, in both of its forms.
async function denied(call, status, error, code) {
  const doc = await done(call, status);
  assert.equal(doc.error, error);
  assert.ok(doc.error_description);
  assert.equal(doc.errors[0].code, code);
  assert.equal(doc.errors[0].status, `${status}`);
  for (const field of ['id', 'title', 'detail']) {
    assert.equal(typeof doc.errors[0][field], 'string', field);
  }
  return doc;
}

test('a secret in the Basic header gets a token', async () => {
  const { access_token, ...rest } = await grant(sim, transferAll);
  assert.ok(access_token);
  assert.deepEqual(rest, {
    scope: transferAll,
    expires_in: 172800,
    token_type: 'Bearer',
    resource_server: 'transfer.api.globus.org',
    other_tokens: [],
  });
  await done(transfer.task.getAll({}, bearer(access_token)));
});

test('a secret in the form gets a token', async () => {
  const payload = {
    grant_type: 'client_credentials',
    scope: transferAll,
    client_id: sim.clientID,
    client_secret: sim.clientSecret,
  };
  const { access_token } = await done(oauth2.token.token({ payload }));
  await done(transfer.task.getAll({}, bearer(access_token)));
});

test('each resource server has a token of its own, which the token manager finds', async () => {
  const response = await grant(sim, 'openid', 'profile', 'email', transferAll);
  assert.equal(response.other_tokens.length, 1);

  const manager = authorization.create({ client: sim.clientID, redirect: sim.url, scopes: transferAll });
  assert.equal(manager.authenticated, false);
  manager.addTokenResponse(response);
  assert.equal(manager.authenticated, true);
  assert.equal(manager.tokens.transfer.scope, transferAll);
  assert.deepEqual(manager.tokens.auth.scope.split(' ').sort(), ['email', 'openid', 'profile']);
  assert.equal(manager.tokens.constructor.isTokenExpired(manager.tokens.transfer), false);
  assert.equal(manager.tokens.constructor.isTokenExpired(manager.tokens.transfer, 172800_000), true);
  assert.equal(manager.user.sub, sim.clientID);
  assert.equal(manager.user.aud, sim.clientID);
});

test('the id_token is signed with the first published key', async () => {
  const { id_token } = await grant(sim, 'openid');
  const discovery = await done(fetch(new URL('/.well-known/openid-configuration', sim.url)));
  const { keys } = await done(fetch(discovery.jwks_uri));
  const [header, claims, signature] = id_token.split('.');
  assert.equal(JSON.parse(Buffer.from(header, 'base64url')).alg, 'RS512');
  assert.ok(discovery.id_token_signing_alg_values_supported.includes('RS512'));
  assert.ok(
    verify(
      'RSA-SHA512',
      Buffer.from(`${header}.${claims}`),
      createPublicKey({ key: keys[0], format: 'jwk' }),
      Buffer.from(signature, 'base64url'),
    ),
  );
});

test('brackets are not in the scope that was granted', async () => {
  const { scope } = await grant(sim, dataAccess(sim.id('vault')));
  assert.equal(scope, transferAll);
});

test('introspection tells whose token it is', async () => {
  const { access_token } = await grant(sim, transferAll);
  const doc = await done(oauth2.token.introspect({ payload: { token: access_token }, headers: basic(sim) }));
  assert.equal(doc.active, true);
  assert.equal(doc.client_id, sim.clientID);
  assert.equal(doc.sub, sim.clientID);
  assert.equal(doc.username, username);
  assert.equal(doc.email, null);
  assert.equal(doc.scope, transferAll);
  assert.equal(doc.token_type, 'Bearer');
  assert.equal(doc.iss, 'https://auth.globus.org');
  assert.equal(doc.exp - doc.iat, 172800);
  assert.ok(doc.aud.includes('transfer.api.globus.org'), `${doc.aud}`);
});

test('introspection of nonsense is no error', async () => {
  const doc = await done(oauth2.token.introspect({ payload: { token: 'nonsense' }, headers: basic(sim) }));
  assert.deepEqual(doc, { active: false });
});

test('a revoked token is dead, and an earlier one is not', async () => {
  const first = await grant(sim, transferAll);
  const second = await grant(sim, transferAll);
  const payload = { token: second.access_token };
  for (let i = 0; i < 2; i++) {
    assert.deepEqual(await done(oauth2.token.revoke({ payload, headers: basic(sim) })), { active: false });
  }
  assert.deepEqual(await done(oauth2.token.introspect({ payload, headers: basic(sim) })), { active: false });
  await refused(transfer.task.getAll({}, bearer(second.access_token)), 401, 'AuthenticationFailed');
  await done(transfer.task.getAll({}, bearer(first.access_token)));
});

test('userinfo describes the service account', async () => {
  const { access_token } = await grant(sim, 'openid', 'profile', 'email');
  const doc = await done(oauth2.userinfo({}, bearer(access_token)));
  assert.equal(doc.sub, sim.clientID);
  assert.equal(doc.preferred_username, username);
  assert.equal(doc.email, null);
});

test('userinfo is refused without a token, and with one for another service', async () => {
  await denied(oauth2.userinfo(), 403, 'forbidden', 'FORBIDDEN');
  const { access_token } = await grant(sim, transferAll);
  const response = await oauth2.userinfo({}, bearer(access_token));
  assert.ok([401, 403].includes(response.status), `${response.status}`);
});

test('a wrong secret is refused wherever it stands', async () => {
  const payload = { grant_type: 'client_credentials', scope: transferAll };
  const wrong = basic(sim, 'wrong');
  await denied(oauth2.token.token({ payload, headers: wrong }), 401, 'invalid_client', 'UNAUTHORIZED');
  const form = { ...payload, client_id: sim.clientID, client_secret: 'wrong' };
  await denied(oauth2.token.token({ payload: form }), 401, 'invalid_client', 'INVALID_CLIENT');
  const token = { token: 'nonsense' };
  await denied(oauth2.token.introspect({ payload: token, headers: wrong }), 401, 'invalid_client', 'UNAUTHORIZED');
});

test('a refresh without a secret is refused', async () => {
  const payload = { grant_type: 'refresh_token', refresh_token: 'x', client_id: sim.clientID };
  await denied(oauth2.token.refresh({ payload }), 401, 'invalid_client', 'INVALID_CLIENT');
});

const unknown = {
  'a scope that nobody has': 'urn:globus:auth:scope:transfer.api.globus.org:everything',
  'an unknown scope beside a good one': `${transferAll} nonsense`,
  'data access to a guest collection': dataAccess(sim.id('lab')),
  'data access to a high assurance collection': dataAccess(sim.id('clinic')),
  'data access to a personal computer': dataAccess(sim.id('laptop')),
  'data access to nothing': dataAccess('00000000-0000-4000-8000-000000000000'),
};
for (const [what, scope] of Object.entries(unknown)) {
  test(`${what} is an unknown scope`, async () => {
    const payload = { grant_type: 'client_credentials', scope };
    const call = oauth2.token.token({ payload, headers: basic(sim) });
    await denied(call, 400, 'invalid_scope', 'UNKNOWN_SCOPE_ERROR');
  });
}

test('a malformed scope is refused', async () => {
  const payload = { grant_type: 'client_credentials', scope: `${transferAll}[` };
  await denied(oauth2.token.token({ payload, headers: basic(sim) }), 400, 'invalid_scope', 'INVALID_SCOPE');
});

test('an unknown grant is refused', async () => {
  const payload = { grant_type: 'password', username: 'a', password: 'b' };
  const call = oauth2.token.token({ payload, headers: basic(sim) });
  await denied(call, 400, 'unsupported_grant_type', 'UNSUPPORTED_GRANT_TYPE');
});

test('identities are found by name and by id', async () => {
  const usernames = [username, 'nobody@example.org'];
  const byName = await done(identities.getAll({ query: { usernames }, headers: basic(sim) }));
  assert.equal(byName.identities.length, 1);
  assert.equal(byName.identities[0].id, sim.clientID);
  const byID = await done(identities.getAll({ query: { ids: sim.clientID }, headers: basic(sim) }));
  assert.deepEqual(byID, byName);
});

test('an identity is found by its id alone', async () => {
  const { identity } = await done(identities.get(sim.clientID, { headers: basic(sim) }));
  assert.equal(identity.username, username);
});

test('identities are not given to strangers, nor by name and id at once', async () => {
  await denied(identities.getAll({ query: { ids: sim.clientID } }), 401, 'unauthorized', 'UNAUTHORIZED');
  const query = { ids: sim.clientID, usernames: username };
  const call = identities.getAll({ query, headers: basic(sim) });
  await denied(call, 400, 'invalid_parameters', 'INVALID_PARAMETERS');
});

test('the SDK recognizes a consent in the list of consents', async () => {
  const scope = dataAccess(sim.id('vault'));
  const { access_token } = await grant(sim, 'openid urn:globus:auth:scope:auth.globus.org:view_identities');
  const list = () => done(identities.consents.getAll(sim.clientID, { query: { all: true } }, bearer(access_token)));

  await sim.order('consents/rescind');
  assert.equal(utils.hasConsentForScope((await list()).consents, scope), false);
  await grant(sim, scope);
  const { consents } = await list();
  assert.equal(utils.hasConsentForScope(consents, scope), true);
  const consent = consents.find((c) => c.scope_name.endsWith('/data_access'));
  assert.equal(consent.atomically_revocable, true);
  assert.equal(consent.dependency_path.at(-1), consent.id);
});

test('what Auth does not know is refused as JSON', async () => {
  const call = fetch(new URL('/v2/api/nonsense', sim.url));
  await denied(call, 404, 'not_found', 'NOT_FOUND');
});
