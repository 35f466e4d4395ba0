import { dottedName, type SyntaxNode, type SyntaxTree, walk } from './syntax-tree.ts';

/**
 * Every call to another process has a deadline (DESIGN-RULES 12, 29): without one a frozen peer holds for ever whoever waits for it.
 * The rule looks at where calls begin: a file that takes hold of something which talks to the outside has to use `withDeadline`, or
 * stand in the table below with what its deadline is.
 */

/** What a module gives that talks to the outside. Modules that are not named here and come from npm are not looked at. */
const outside: readonly { readonly module: RegExp; readonly names: RegExp }[] = [
  { module: /^(?:node:)?(?:net|tls)$/, names: /^(?:connect|createConnection|Socket|TLSSocket)$/ },
  { module: /^(?:node:)?https?$/, names: /^(?:request|get|ClientRequest)$/ },
  { module: /^(?:node:)?http2$/, names: /^connect$/ },
  { module: /^(?:node:)?dgram$/, names: /^createSocket$/ },
  { module: /^(?:node:)?dns(?:\/promises)?$/, names: /^(?:lookup|lookupService|resolve\w*|reverse|Resolver)$/ },
  { module: /^(?:ioredis|redlock|redis)$/, names: /^(?:default|Redis|Cluster|Redlock|createClient|createCluster)$/ },
  { module: /^@azure\/(?!core-|abort-)/, names: /(?:Client|Credential)$/ },
  { module: /^@grpc\/grpc-js$/, names: /^(?:Client|Channel|loadPackageDefinition|make\w*ClientConstructor)$/ },
  { module: /^(?:pg|pg-copy-streams|mysql2(?:\/promise)?|tedious|mssql|undici|got|axios|ws|ssh2|basic-ftp)$/, names: /./ },
];
const globalCalls = /^(?:globalThis\.)?(?:fetch|WebSocket|EventSource)$/;

/** Calls of an SDK that are made in several files: each hands on the signal of its deadline. */
const signalled: readonly { readonly paths: RegExp; readonly methods: RegExp }[] = [
  {
    paths: /^packages\/connectors\/azure-blob\/src\//,
    methods: new RegExp(
      `^(?:${[
        'getProperties', 'getTags', 'setTags', 'setMetadata', 'setHTTPHeaders', 'getBlockList', 'stageBlock', 'stageBlockFromURL',
        'commitBlockList', 'download', 'downloadToBuffer', 'upload', 'uploadData', 'uploadStream', 'createIfNotExists', 'deleteIfExists',
        'listBlobsFlat', 'listBlobsByHierarchy', 'findBlobsByTags', 'beginCopyFromURL', 'syncCopyFromURL',
      ].join('|')})$`,
    ),
  },
];
const signalName = 'abortSignal';

/** Files whose deadline is another one. `text` stands in the file; without it the entry is wrong. */
export const otherDeadlines: readonly { readonly path: string; readonly text: string; readonly why: string }[] = [
  {
    path: 'packages/node/src/state-lock.ts', text: 'lockName(folder)',
    why: 'a name in the kernel of this machine: it answers at once whether somebody holds it, and the holder has no part in it',
  },
  {
    path: 'packages/connectors/postgresql/src/reusing-socket.ts', text: 'new Socket({',
    why: 'it makes a socket and no call; connecting, reading and writing have their deadlines in client.ts and copy-stream.ts',
  },
  {
    path: 'packages/protocol/src/codec/cluster-service.ts', text: 'ClusterCaller',
    why: 'it makes a class and no call; the channel and the streams made with it have their deadlines in link-stream.ts',
  },
];

export interface OutsideFile {
  readonly path: string;
  readonly text: string;
  readonly tree: SyntaxTree;
}

/** Sentences about files that call the outside without a deadline, and about entries of the table that are wrong. */
export function findMissingDeadlines(files: readonly OutsideFile[], table = otherDeadlines): string[] {
  const complaints: string[] = [];
  const excused = new Set<string>();
  for (const file of files) {
    const lines = outsideLines(file.tree);
    const entry = table.find(({ path }) => path === file.path);
    if (lines.length > 0 && entry?.text !== undefined && file.text.includes(entry.text)) excused.add(file.path);
    else if (lines.length > 0 && !usesDeadline(file.tree)) {
      complaints.push(`${file.path}:${lines[0]} talks to the outside and uses no withDeadline of @dmg/base.`);
    }
    complaints.push(...unsignalledLines(file).map((line) => `${file.path}:${line} calls an SDK without the ${signalName} of a deadline.`));
  }
  const surplus = table.filter(({ path }) => !excused.has(path));
  return [...complaints, ...surplus.map(({ path }) => `${path} does not need its entry in the table of other deadlines.`)];
}

/** Lines on which a file takes hold of something that talks to the outside. */
export function outsideLines(tree: SyntaxTree): number[] {
  const lines: number[] = [];
  walk(tree.root, (node) => {
    const isUse = node.type === 'ImportDeclaration' ? importsOutside(node) : isGlobalCall(node);
    if (isUse) lines.push(tree.firstLine(node));
  });
  return lines;
}

function importsOutside(node: SyntaxNode): boolean {
  if (node['typeOnly'] === true) return false;
  const from = (node['source'] as { value?: string } | undefined)?.value ?? '';
  const known = outside.filter(({ module }) => module.test(from));
  return known.length > 0 && importedNames(node).some((name) => name === '*' || known.some(({ names }) => names.test(name)));
}

/** Names as the module exports them; `*` for all of them at once. */
function importedNames(node: SyntaxNode): string[] {
  const specifiers = (node['specifiers'] as SyntaxNode[] | undefined) ?? [];
  return specifiers.flatMap((specifier) => {
    if (specifier['isTypeOnly'] === true) return [];
    if (specifier.type === 'ImportNamespaceSpecifier') return ['*'];
    if (specifier.type === 'ImportDefaultSpecifier') return ['default', '*'];
    const named = (specifier['imported'] ?? specifier['local']) as { value?: string } | null;
    return named?.value === undefined ? [] : [named.value];
  });
}

function isGlobalCall(node: SyntaxNode): boolean {
  if (node.type !== 'CallExpression' && node.type !== 'NewExpression') return false;
  return globalCalls.test(dottedName(node['callee']) ?? '');
}

function usesDeadline(tree: SyntaxTree): boolean {
  let uses = false;
  walk(tree.root, (node) => {
    if (node.type === 'CallExpression' && dottedName(node['callee']) === 'withDeadline') uses = true;
  });
  return uses;
}

function unsignalledLines({ path, tree }: OutsideFile): number[] {
  const rules = signalled.filter(({ paths }) => paths.test(path));
  if (rules.length === 0) return [];
  const lines: number[] = [];
  walk(tree.root, (node) => {
    if (node.type !== 'CallExpression') return;
    const method = methodOf(node['callee']);
    if (method !== undefined && rules.some(({ methods }) => methods.test(method)) && !mentions(node['arguments'], signalName)) {
      lines.push(tree.firstLine(node));
    }
  });
  return lines;
}

function methodOf(callee: unknown): string | undefined {
  const { type, property } = (callee ?? {}) as { type?: string; property?: { type?: string; value?: string } };
  return type === 'MemberExpression' && property?.type === 'Identifier' ? property.value : undefined;
}

function mentions(argumentList: unknown, name: string): boolean {
  let found = false;
  walk({ type: 'Arguments', list: argumentList }, (node) => {
    if (node.type === 'Identifier' && node['value'] === name) found = true;
  });
  return found;
}
