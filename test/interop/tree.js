// Trees of files, to be compared.

import { lstat, mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

// plant writes files, given by their paths below the folder.
export async function plant(folder, files) {
  await mkdir(folder, { recursive: true });
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), content);
  }
}

// harvest reads what plant writes; a folder is null.
export async function harvest(folder) {
  const tree = {};
  for (const path of (await readdir(folder, { recursive: true })).sort()) {
    const isFolder = (await lstat(join(folder, path))).isDirectory();
    tree[path] = isFolder ? null : await readFile(join(folder, path), 'utf8');
  }
  return tree;
}
