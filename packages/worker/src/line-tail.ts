import { StringDecoder } from 'node:string_decoder';

const lineCharsMax = 4_000;
const linesMax = 20;
const reasonCharsMax = 1_000;
/** Log lines, stack frames, the marker below a source line, and the platform's signature. */
const noise = /^\{|^\s+at |^\s*\^+\s*$|^Node\.js v/;

/** Cuts a process's error output into lines, hands each on, and keeps the last ones: they are what a dead process tells. */
export class LineTail {
  readonly #decoder = new StringDecoder('utf8');
  readonly #take: (line: string) => void;
  #rest = '';
  #lines: string[] = [];

  constructor(take: (line: string) => void) {
    this.#take = take;
  }

  push(chunk: Buffer): void {
    const parts = (this.#rest + this.#decoder.write(chunk)).split('\n');
    this.#rest = (parts.pop() ?? '').slice(0, lineCharsMax);
    for (const part of parts) this.#keep(part);
  }

  end(): void {
    if (this.#rest !== '') this.#keep(this.#rest);
    this.#rest = '';
  }

  get text(): string {
    return this.#lines.join('\n');
  }

  /**
   * The last words, bounded, without log lines (they are JSON and in the log already) and without stack frames; anything that
   * looks like a credential is blanked, since this text is shown to people.
   */
  lastWords(): string {
    const words = this.#lines.filter((line) => line.trim() !== '' && !noise.test(line));
    return withoutSecrets(words.slice(-6).map((line) => line.trim()).join(' | ')).slice(-reasonCharsMax);
  }

  #keep(line: string): void {
    const kept = line.slice(0, lineCharsMax);
    this.#lines.push(kept);
    if (this.#lines.length > linesMax) this.#lines = this.#lines.slice(-linesMax);
    this.#take(kept);
  }
}

function withoutSecrets(text: string): string {
  return text
    .replaceAll(/\b(AccountKey|SharedAccessKey|Password|Pwd|sig|token)(\s*=\s*)[^;&\s|]+/gi, '$1$2***')
    .replaceAll(/(:\/\/[^\s:/@]*:)[^\s@]+@/g, '$1***@');
}
