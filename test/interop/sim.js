// The simulator as a process of its own, and its control path.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const runner = process.env.RUNNER ?? fileURLToPath(new URL('../../bin/runner', import.meta.url));

// always are the variables that every simulator exports.
const always = ['GLOBUS_SDK_SERVICE_URL_AUTH', 'GLOBUS_SDK_SERVICE_URL_TRANSFER', 'CLIENT_ID', 'CLIENT_SECRET', 'NATIVE_APP', 'FLOW'];

// patience is how long the tests of one file may take, in seconds.
const patience = 30;

// startSim starts a simulator on a port that is free. It takes the options of
// the collections by their names, such as { vault: 'type=mapped' }, gives each
// an empty folder, and points the SDK to the simulator.
export async function startSim(collections, ...flags) {
  const dir = await mkdtemp(join(tmpdir(), 'interop-'));
  const args = ['sim', ...flags];
  for (const [name, options] of Object.entries(collections)) {
    await mkdir(join(dir, name));
    args.push('--collection', [`${name}=${join(dir, name)}`, options].filter(Boolean).join(','));
  }
  const child = spawn(runner, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  endWith(child, dir);
  const sim = new Sim(child, dir);
  await sim.started([...always, ...Object.keys(collections).map(variable)]);
  return sim;
}

class Sim {
  #child;
  #dir;
  #exports = {};
  #stderr = '';

  constructor(child, dir) {
    this.#child = child;
    this.#dir = dir;
    child.stderr.setEncoding('utf8').on('data', (text) => (this.#stderr += text));
  }

  // started reads the lines that are meant for a shell, until all that are
  // wanted are there, and points the SDK to the simulator.
  async started(wanted) {
    await once(this.#child, 'spawn');
    for await (const line of createInterface(this.#child.stdout)) {
      const match = /^export ([A-Z0-9_]+)='([^']*)'$/.exec(line);
      assert.ok(match, `not an export line: ${line}`);
      this.#exports[match[1]] = match[2];
      if (wanted.every((name) => name in this.#exports)) {
        return pointSDK(this.#exports);
      }
    }
    throw new Error(`the simulator did not start: ${this.#stderr}`);
  }

  get url() {
    return this.#exports.GLOBUS_SDK_SERVICE_URL_TRANSFER;
  }

  get clientID() {
    return this.#exports.CLIENT_ID;
  }

  get clientSecret() {
    return this.#exports.CLIENT_SECRET;
  }

  // nativeApp is the client id with which a person logs in.
  get nativeApp() {
    return this.#exports.NATIVE_APP;
  }

  // flow is the id of a flow that transfers.
  get flow() {
    return this.#exports.FLOW;
  }

  // id is that of a collection.
  id(name) {
    return this.#exports[variable(name)];
  }

  // path is where a file of a collection lies on the disk.
  path(name, ...elements) {
    return join(this.#dir, name, ...elements);
  }

  // order sends an order to the control path: 'faults', 'tasks' and so on.
  order(what, body) {
    return this.#control('POST', what, body && JSON.stringify(body));
  }

  // withdraw takes an order back.
  withdraw(what) {
    return this.#control('DELETE', what);
  }

  // state is what the simulator has seen and done.
  state() {
    return this.#control('GET', 'state');
  }

  async #control(method, what, body) {
    const response = await fetch(new URL(`/_sim/${what}`, this.url), { method, body });
    const text = await response.text();
    assert.ok(response.ok, `${what}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  // stop ends the simulator and removes its folders.
  async stop() {
    const exit = once(this.#child, 'exit');
    if (this.#child.exitCode === null && this.#child.kill('SIGTERM')) {
      await exit;
    }
    await rm(this.#dir, { recursive: true, force: true });
    assert.equal(this.#child.exitCode, 0, `the simulator failed: ${this.#stderr}`);
  }
}

// variable is the name under which the simulator exports a collection's id.
function variable(name) {
  return `COLLECTION_${name.toUpperCase().replaceAll('-', '_')}`;
}

// pointSDK sets what the SDK reads at each call, and nothing else.
function pointSDK(exports) {
  for (const name of Object.keys(process.env)) {
    if (name.startsWith('GLOBUS_SDK_')) {
      delete process.env[name];
    }
  }
  for (const service of ['AUTH', 'TRANSFER']) {
    const name = `GLOBUS_SDK_SERVICE_URL_${service}`;
    process.env[name] = exports[name];
  }
}

// endWith ends a child and removes its folder when this process ends, however
// that comes about, and ends this process if it hangs.
function endWith(child, dir) {
  process.once('exit', () => {
    child.kill();
    rmSync(dir, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => process.exit(1));
  }
  const hangs = () => {
    console.error(`the tests have not ended after ${patience} s`);
    process.exit(1);
  };
  setTimeout(hangs, patience * 1000).unref();
}
