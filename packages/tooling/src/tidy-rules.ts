import { dottedName, parseTypeScript, type SyntaxNode, type SyntaxTree, walk } from './syntax-tree.ts';

/** One thing that may not stand in the repository. */
export interface TidyRule {
  readonly name: string;
  /** What to use or do instead. */
  readonly instead: string;
  /** Lines (from 1) on which a file breaks the rule. */
  find(file: TidyFile): readonly number[];
}

export interface TidyFile {
  readonly path: string;
  readonly text: string;
  readonly lines: readonly string[];
  /** For TypeScript files only. */
  readonly tree: SyntaxTree | undefined;
  readonly isTest: boolean;
}

export const fileLinesMax = 400;
export const functionLinesMax = 70;
export const lineCharsMax = 140;
export const portMethodsMax = 10;

export function readTidyFile(path: string, text: string, isTest: boolean): TidyFile {
  const tree = path.endsWith('.ts') ? tryParse(text) : undefined;
  return { path, text, lines: text.split('\n'), tree, isTest };
}

function tryParse(text: string): SyntaxTree | undefined {
  try {
    return parseTypeScript(text);
  } catch {
    // The rule "syntax" names the file.
    return undefined;
  }
}

/** A rule about nodes of the syntax tree. */
function syntaxRule(
  name: string,
  instead: string,
  isBad: (node: SyntaxNode, file: TidyFile, parents: readonly SyntaxNode[]) => boolean,
): TidyRule {
  return {
    name,
    instead,
    find(file) {
      const { tree } = file;
      if (tree === undefined) return [];
      const found: number[] = [];
      walk(tree.root, (node, parents) => {
        if (isBad(node, file, parents)) found.push(tree.firstLine(node));
      });
      return found;
    },
  };
}

/** A rule about single lines of any text file. */
function lineRule(name: string, instead: string, isBad: (line: string, file: TidyFile) => boolean): TidyRule {
  return { name, instead, find: (file) => file.lines.flatMap((line, index) => (isBad(line, file) ? [index + 1] : [])) };
}

function bannedName(banned: string, instead: string, where: { alsoInTests: boolean }): TidyRule {
  const isBanned = (name: string | undefined): boolean => name === banned || name === `globalThis.${banned}`;
  return syntaxRule(banned, instead, (node, file, parents) => {
    if (file.isTest && !where.alsoInTests) return false;
    if (node.type === 'MemberExpression') return isBanned(dottedName(node));
    // A name is used when it is called or handed on, not when it is a property, a label or a type.
    if (node.type !== 'Identifier' || !isBanned(node['value'] as string)) return false;
    const parent = parents.at(-1);
    return parent?.type === 'CallExpression' || parent?.type === 'VariableDeclarator';
  });
}

function importOf(node: SyntaxNode): string | undefined {
  if (node.type !== 'ImportDeclaration') return undefined;
  return (node['source'] as { value?: string } | undefined)?.value;
}

const isCall = (node: SyntaxNode, name: RegExp): boolean => node.type === 'CallExpression' && name.test(dottedName(node['callee']) ?? '');

function isMethod(member: SyntaxNode): boolean {
  if (member.type === 'TsMethodSignature') return true;
  const annotation = member['typeAnnotation'] as SyntaxNode | undefined;
  return member.type === 'TsPropertySignature' && (annotation?.['typeAnnotation'] as SyntaxNode | undefined)?.type === 'TsFunctionType';
}

const functionTypes = new Set([
  'FunctionDeclaration',
  'FunctionExpression',
  'ArrowFunctionExpression',
  'ClassMethod',
  'PrivateMethod',
  'Constructor',
  'MethodProperty',
]);

const longFunctions: TidyRule = {
  name: `functions of at most ${functionLinesMax} lines`,
  instead: 'keep the control flow in one function and move the leaves into pure ones.',
  find(file) {
    const { tree } = file;
    // A suite in a test is a list of tests, not one function.
    if (tree === undefined || file.isTest) return [];
    const found: number[] = [];
    walk(tree.root, (node) => {
      if (functionTypes.has(node.type) && tree.lastLine(node) - tree.firstLine(node) + 1 > functionLinesMax)
        found.push(tree.firstLine(node));
    });
    return found;
  },
};

// Written so that this file does not find itself.
const unfinished = new RegExp(`\\b(?:${['FIX', 'TO', 'XX'].map((word, index) => word + ['ME', 'DO', 'X'][index]).join('|')})\\b`);
const machinePath = /(?<![\w.~:-])\/(?:home|Users|work)\/[\w.-]+/;
const badFileWord = /(?:^|-)(?:managers?|helpers?|utils?|common|misc|abstract)(?:-|\.|$)/;

export const tidyRules: readonly TidyRule[] = [
  {
    name: 'syntax',
    instead: 'TypeScript that can be parsed; tsc tells what is wrong.',
    find: (file) => (file.path.endsWith('.ts') && file.tree === undefined ? [1] : []),
  },
  bannedName('Date.now', 'Clock.wallMs() or Clock.monotonicMs() of @dmg/base.', { alsoInTests: false }),
  bannedName('performance.now', 'Clock.monotonicMs() of @dmg/base.', { alsoInTests: false }),
  syntaxRule(
    'new Date()',
    'new Date(clock.wallMs()) with a Clock of @dmg/base.',
    (node, file) =>
      !file.isTest &&
      node.type === 'NewExpression' &&
      dottedName(node['callee']) === 'Date' &&
      ((node['arguments'] as unknown[] | null) ?? []).length === 0,
  ),
  bannedName('Math.random', 'a Random of @dmg/base.', { alsoInTests: true }),
  bannedName('setTimeout', 'Clock.after() or sleep() of @dmg/base; in a test, wait for an event or use test/harness/wait-for.ts.', {
    alsoInTests: true,
  }),
  bannedName('setInterval', 'Clock.after() of @dmg/base, again at the end of each round.', { alsoInTests: true }),
  syntaxRule(
    'node:timers',
    'Clock.after() or sleep() of @dmg/base; in a test, wait for an event or use test/harness/wait-for.ts.',
    (node) => /^(?:node:)?timers(?:\/promises)?$/.test(importOf(node) ?? ''),
  ),
  syntaxRule(
    'sleeping in tests',
    'an event, or waitFor() of test/harness/wait-for.ts.',
    (node, file) =>
      /\.(?:test|contract)\.ts$/.test(file.path) &&
      isCall(node, /^sleep$/) &&
      dottedName((node['arguments'] as { expression: unknown }[])[0]?.expression) === 'systemClock',
  ),
  bannedName('process.env', "the root's config.ts reads the environment and passes options on.", { alsoInTests: false }),
  syntaxRule('console', "the root's output file, or a Logger of @dmg/base.", (node) =>
    /^(?:globalThis\.)?console\.\w+$/.test(dottedName(node) ?? ''),
  ),
  syntaxRule('any', 'unknown and a check, or the real type.', (node) => node.type === 'TsKeywordType' && node['kind'] === 'any'),
  syntaxRule('non-null assertion', 'a check which says what is wrong.', (node) => node.type === 'TsNonNullExpression'),
  syntaxRule('as unknown as', 'a function that checks and narrows.', (node) => {
    const inner = node['expression'] as SyntaxNode | undefined;
    return (
      node.type === 'TsAsExpression' && inner?.type === 'TsAsExpression' && (inner['typeAnnotation'] as SyntaxNode)['kind'] === 'unknown'
    );
  }),
  syntaxRule(
    'export *',
    'explicit named re-exports.',
    (node) => node.type === 'ExportAllDeclaration' || node.type === 'ExportNamespaceSpecifier',
  ),
  syntaxRule(
    'default export',
    'a named export.',
    (node) => node.type === 'ExportDefaultDeclaration' || node.type === 'ExportDefaultExpression',
  ),
  syntaxRule('.only', 'npm test -- ‹part of the path›, or --test-name-pattern.', (node) =>
    isCall(node, /^(?:test|it|describe|suite|t)\.only$/),
  ),
  syntaxRule(
    `at most ${portMethodsMax} methods in an interface`,
    'two smaller interfaces, each for one caller.',
    (node) => node.type === 'TsInterfaceBody' && (node['body'] as SyntaxNode[]).filter(isMethod).length > portMethodsMax,
  ),
  longFunctions,
  {
    name: `files of at most ${fileLinesMax} lines`,
    instead: 'a second file, called after its main export.',
    find: (file) => (file.path.endsWith('.ts') && file.lines.length - 1 > fileLinesMax ? [fileLinesMax + 1] : []),
  },
  lineRule(
    `lines of at most ${lineCharsMax} characters`,
    'a line break.',
    (line, file) => /\.(?:ts|js|mjs|sh|lua|proto)$/.test(file.path) && Array.from(line).length > lineCharsMax,
  ),
  lineRule('unfinished work', 'finish it, or write it into an issue.', (line) => unfinished.test(line)),
  lineRule('paths of one machine', 'a path relative to the file, or a setting.', (line) => machinePath.test(line)),
  lineRule(
    'a disabled check without a reason',
    'the reason, after " -- ".',
    (line) => /(?:oxlint|eslint)-disable|@ts-(?:ignore|expect-error|nocheck)/.test(line) && !/ -- \S/.test(line),
  ),
  {
    name: 'file names',
    instead: 'a kebab-case noun after the main export, without words for bags.',
    find: (file) => {
      const name = file.path.split('/').at(-1) ?? '';
      if (!name.endsWith('.ts')) return [];
      return /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z]+)*\.ts$/.test(name) && !badFileWord.test(name) ? [] : [1];
    },
  },
];
