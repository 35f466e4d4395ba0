import { baseErrors, newId, type Random } from '@dmg/base';
import { PosixFiles } from './posix-files.ts';

/**
 * The random id of the store at `host` (an existing folder): two nodes that read the same id see the same store, so a job with a
 * local path may run on both. Made on first use; whoever links it first decides.
 */
export async function fileStoreId(host: string, random: Random): Promise<string> {
  const files = new PosixFiles(host);
  const path = `${host.replace(/\/+$/, '')}/.dmg`;
  for (let round = 0; round < 3; round++) {
    const standing = await files.read(`${path}/store-id`);
    if (standing !== undefined) return Buffer.from(standing).toString().trim();
    await files.makeFolder(path, { parents: true });
    const prepared = `${path}/store-id.${newId(random)}`;
    await files.writeNew(prepared, Buffer.from(`${newId(random)}\n`));
    await files.link(prepared, `${path}/store-id`);
    await files.syncFolder(path);
    await files.remove(prepared);
  }
  throw baseErrors.UNEXPECTED.create({ reason: `the store id of ${host} does not settle` });
}
