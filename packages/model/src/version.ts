/**
 * Compares two releases, `major.minor.patch[-pre][+build]`, as Semantic Versioning 2.0.0 (§11) orders them: below 0 when `a` is the
 * older. A text that is no version is older than every version, and two such texts are compared as texts, so that the order is total.
 */
export function compareVersions(a: string, b: string): number {
  const left = parse(a);
  const right = parse(b);
  if (left === undefined || right === undefined) {
    if (left === right) return compareTexts(a, b);
    return left === undefined ? -1 : 1;
  }
  for (const [index, part] of left.release.entries()) {
    const difference = part - (right.release[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return comparePreReleases(left.preRelease, right.preRelease);
}

interface Version {
  readonly release: readonly number[];
  readonly preRelease: readonly string[];
}

function parse(text: string): Version | undefined {
  const match = /^v?(\d{1,9})\.(\d{1,9})\.(\d{1,9})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?$/.exec(text.trim());
  if (match === null) return undefined;
  return { release: match.slice(1, 4).map(Number), preRelease: match[4]?.split('.') ?? [] };
}

/** Without a pre-release is the newer; numbers are older than texts; of two with the same beginning the longer one is the newer. */
function comparePreReleases(left: readonly string[], right: readonly string[]): number {
  if (left.length === 0 || right.length === 0) return right.length - left.length;
  for (const [index, part] of left.entries()) {
    const other = right[index];
    if (other === undefined) return 1;
    const difference = compareIdentifiers(part, other);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

function compareIdentifiers(left: string, right: string): number {
  const isNumber = (text: string): boolean => /^\d+$/.test(text);
  if (isNumber(left) && isNumber(right)) return Number(left) - Number(right);
  if (isNumber(left) !== isNumber(right)) return isNumber(left) ? -1 : 1;
  return compareTexts(left, right);
}

function compareTexts(left: string, right: string): number {
  if (left === right) return 0;
  return left < right ? -1 : 1;
}
