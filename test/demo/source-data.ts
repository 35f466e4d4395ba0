import { createCipheriv } from 'node:crypto';
import { copyFile, mkdir, open, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that the file store serves; sources are made in `in/`, copies arrive in `out/`. */
export interface SourceData {
  readonly root: string;
  readonly vegaFiles: readonly string[];
  readonly largeBytes: number;
}

/**
 * Real CSV files (those that the npm package `vega-datasets` ships), a nested folder, hostile CSV, one large file, and one a fifth of
 * its size for each part.
 */
export async function makeSourceData(root: string, largeBytes: number, parts: readonly string[]): Promise<SourceData> {
  const vega = join(dirname(fileURLToPath(import.meta.resolve('vega-datasets'))), '..', 'data');
  const vegaFiles = (await readdir(vega)).filter((name) => name.endsWith('.csv')).sort();
  const folders = ['in/vega', 'in/nested/north/deep', 'in/nested/süd 😀', 'in/empty', 'in/large', 'in/parts', 'in/hostile', 'out'];
  for (const folder of folders) {
    await mkdir(join(root, folder), { recursive: true });
  }
  for (const name of vegaFiles) await copyFile(join(vega, name), join(root, 'in/vega', name));
  await copyFile(join(vega, 'stocks.csv'), join(root, 'in/nested/stocks.csv'));
  await copyFile(join(vega, 'github.csv'), join(root, 'in/nested/north/git hub.csv'));
  await copyFile(join(vega, 'la-riots.csv'), join(root, 'in/nested/north/deep/riots.csv'));
  await copyFile(join(vega, 'sp500.csv'), join(root, 'in/nested/süd 😀/sp500.csv'));
  await writeFile(join(root, 'in/nested/empty.csv'), '');
  await writeFile(join(root, 'in/hostile/hostile.csv'), hostileCsv());
  await writeLargeFile(join(root, 'in/large/large.bin'), largeBytes, 7);
  const partBytes = Math.ceil(largeBytes / 5);
  for (const [index, name] of parts.entries()) await writeLargeFile(join(root, 'in/parts', `${name}.bin`), partBytes, index);
  return { root, vegaFiles, largeBytes };
}

/** Quotes, delimiters, line ends and other alphabets inside fields. */
function hostileCsv(): string {
  const rows = ['id,text,note'];
  for (let id = 1; id <= 5000; id++) {
    const texts = [`say ""${id}""`, `comma, ${id}`, `line one\r\nline ${id}`, `naïve 😀 ${id}`, `pipe | tab \t ${id}`, ''];
    rows.push(`${id},"${texts[id % texts.length] ?? ''}",${id % 7 === 0 ? '' : `n${id}`}`);
  }
  return `${rows.join('\r\n')}\r\n`;
}

/** Bytes that neither repeat nor compress: AES-CTR over zeros, so that a block in the wrong place is noticed. */
async function writeLargeFile(path: string, bytes: number, salt: number): Promise<void> {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, salt), Buffer.alloc(16));
  const zeros = Buffer.alloc(4 * 1024 * 1024);
  const file = await open(path, 'w');
  try {
    for (let written = 0; written < bytes; ) {
      const part = cipher.update(zeros.subarray(0, Math.min(zeros.length, bytes - written)));
      await file.write(part);
      written += part.length;
    }
  } finally {
    await file.close();
  }
}
