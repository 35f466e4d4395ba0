/** A binary heap that gives the smallest key first; equal keys come in the order in which they were pushed. */
export class MinHeap<T> {
  #entries: { key: number; order: number; value: T }[] = [];
  #order = 0;

  get size(): number {
    return this.#entries.length;
  }

  peek(): { key: number; value: T } | undefined {
    return this.#entries[0];
  }

  push(key: number, value: T): void {
    const entries = this.#entries;
    const entry = { key, order: this.#order++, value };
    let index = entries.length;
    entries.push(entry);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = entries[parentIndex];
      if (parent === undefined || isBefore(parent, entry)) break;
      entries[index] = parent;
      index = parentIndex;
    }
    entries[index] = entry;
  }

  pop(): { key: number; value: T } | undefined {
    const entries = this.#entries;
    const first = entries[0];
    const last = entries.pop();
    if (first === undefined || last === undefined || entries.length === 0) return first;
    let index = 0;
    for (;;) {
      const left = entries[2 * index + 1];
      const right = entries[2 * index + 2];
      const child = left === undefined || (right !== undefined && isBefore(right, left)) ? right : left;
      if (child === undefined || isBefore(last, child)) break;
      entries[index] = child;
      index = child === left ? 2 * index + 1 : 2 * index + 2;
    }
    entries[index] = last;
    return first;
  }
}

function isBefore(a: { key: number; order: number }, b: { key: number; order: number }): boolean {
  return a.key < b.key || (a.key === b.key && a.order < b.order);
}
