// The documents that the SDK's type declarations promise.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';

const folder = new URL('node_modules/@globus/sdk/dist/esm/services/transfer/service/', import.meta.url);

// promised returns the fields of a type that are not optional, each with its
// declared type: { size: 'number', label: 'string | null' }.
export async function promised(file, type) {
  const source = (await readFile(new URL(`${file}.d.ts`, folder), 'utf8')).replaceAll(/\/\*[^]*?\*\//g, '');
  const body = new RegExp(`^export type ${type} = \\{\\n([^]*?)^\\};`, 'm').exec(source)?.[1];
  assert.ok(body, `there is no type ${type} in ${file}.d.ts`);
  const fields = [...body.matchAll(/^ {4}(?:readonly )?(\w+): ([^;{]+)[;{]/gm)];
  return Object.fromEntries(fields.map(([, name, declared]) => [name, declared.trim()]));
}

// keeps asserts that a document has all the fields of a type, and that each
// holds what the type allows. Where the declarations are known to be wrong, or
// narrower than the service, the field is left to the caller.
export async function keeps(doc, file, type, ...except) {
  const broken = {};
  for (const [name, declared] of Object.entries(await promised(file, type))) {
    if (!except.includes(name) && !(name in doc && allows(declared, doc[name]))) {
      broken[name] = `${JSON.stringify(doc[name])}, not ${declared}`;
    }
  }
  assert.deepEqual(broken, {}, type);
}

function allows(declared, value) {
  return declared.split('|').some((option) => {
    const type = option.trim();
    switch (type) {
      case 'string':
      case 'number':
      case 'boolean':
        return typeof value === type;
      case 'null':
        return value === null;
      case 'object':
        return typeof value === 'object';
    }
    if (/^'.*'$/.test(type)) {
      return value === type.slice(1, -1);
    }
    if (/^(true|false|-?\d+)$/.test(type)) {
      return String(value) === type;
    }
    if (/\[\]$|^Array</.test(type)) {
      return Array.isArray(value);
    }
    return value !== undefined; // a type of the SDK's own
  });
}
