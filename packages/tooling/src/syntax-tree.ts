import { parseSync } from '@swc/core';

/** A node of the syntax tree; its other members depend on `type`. */
export interface SyntaxNode {
  readonly type: string;
  readonly span?: { readonly start: number; readonly end: number };
  readonly [member: string]: unknown;
}

export interface SyntaxTree {
  readonly root: SyntaxNode;
  /** From 1. */
  firstLine(node: SyntaxNode): number;
  lastLine(node: SyntaxNode): number;
}

/** Parses TypeScript. Positions of the parser are bytes counted from somewhere; lines are what people read. */
export function parseTypeScript(source: string): SyntaxTree {
  // The empty statement in front tells where the parser begins to count.
  const text = `;${source}`;
  const root = parseSync(text, { syntax: 'typescript', target: 'es2024' }) as unknown as SyntaxNode;
  const [sentinel] = root['body'] as SyntaxNode[];
  const base = sentinel?.span?.start ?? 0;
  const bytes = Buffer.from(text);
  const lineEnds: number[] = [];
  for (let index = bytes.indexOf(10); index !== -1; index = bytes.indexOf(10, index + 1)) lineEnds.push(index);
  const lineAt = (position: number): number => countBelow(lineEnds, position - base) + 1;
  return {
    root,
    firstLine: (node) => lineAt(node.span?.start ?? base),
    lastLine: (node) => lineAt((node.span?.end ?? base + 1) - 1),
  };
}

function countBelow(sorted: readonly number[], limit: number): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) < limit) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Calls `visit` for every node, parents before children. */
export function walk(
  node: SyntaxNode,
  visit: (node: SyntaxNode, parents: readonly SyntaxNode[]) => void,
  parents: readonly SyntaxNode[] = [],
): void {
  visit(node, parents);
  walkInside(node, visit, [...parents, node]);
}

/** Between nodes stand things that are none: lists, `{ spread, expression }` around arguments, `function` around a method's body. */
function walkInside(
  value: object,
  visit: (node: SyntaxNode, parents: readonly SyntaxNode[]) => void,
  parents: readonly SyntaxNode[],
): void {
  for (const child of Object.values(value) as unknown[]) {
    if (isNode(child)) walk(child, visit, parents);
    else if (typeof child === 'object' && child !== null) walkInside(child, visit, parents);
  }
}

function isNode(value: unknown): value is SyntaxNode {
  return typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string';
}

/** `process.env` for a member expression of plain names, `setTimeout` for a name, else undefined. */
export function dottedName(value: unknown): string | undefined {
  if (!isNode(value)) return undefined;
  if (value.type === 'Identifier') return value['value'] as string;
  if (value.type !== 'MemberExpression') return undefined;
  const object = dottedName(value['object']);
  const property = propertyName(value['property']);
  return object === undefined || property === undefined ? undefined : `${object}.${property}`;
}

function propertyName(value: unknown): string | undefined {
  if (!isNode(value)) return undefined;
  if (value.type === 'Identifier') return value['value'] as string;
  const expression = value['expression'];
  // `process['env']`
  return value.type === 'Computed' && isNode(expression) && expression.type === 'StringLiteral'
    ? (expression['value'] as string)
    : undefined;
}
