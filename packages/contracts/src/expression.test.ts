import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { JsonValue } from '@dmg/model';
import { evaluateDeep, evaluateText, ExpressionProblem, isExpression, type Scope } from './expression.ts';

const pipeline: Scope = {
  kind: 'pipeline',
  parameters: { day: '2024-01-31', count: 3, on: true, list: [1, 'a'], nothing: null, 'odd name': 'x' },
  facts: { RunId: 'r-1', Pipeline: 'p', DataFactory: 'f' },
};
const dataset: Scope = { kind: 'dataset', parameters: { folder: 'in' }, facts: {} };

describe('expressions', () => {
  const values: readonly [text: string, value: JsonValue, scope?: Scope][] = [
    ['plain', 'plain'], ['', ''], ['@', '@'], ['@@day', '@day'], ['a@b.c', 'a@b.c'], ['a@@{x}', 'a@{x}'],
    ['@pipeline().parameters.day', '2024-01-31'], ['@pipeline().parameters.count', 3], ['@pipeline().parameters.list', [1, 'a']],
    ['@ Pipeline( ).Parameters . DAY ', '2024-01-31'], ["@pipeline().parameters['odd name']", 'x'],
    ['@pipeline().RunId', 'r-1'], ['@pipeline().pipeline', 'p'], ['@pipeline().DataFactory', 'f'],
    ['@{pipeline().parameters.count}', '3'], ['a/@{pipeline().parameters.day}/@{pipeline().RunId}.csv', 'a/2024-01-31/r-1.csv'],
    ['@{pipeline().parameters.nothing}', ''], ['@{pipeline().parameters.list}', '[1,"a"]'],
    ["@concat('it''s ', pipeline().parameters.count, -1.5, true, concat())", "it's 3-1.5true"], ["@{concat('a}', '{')}", 'a}{'],
    ["@'text'", 'text'], ['@12', 12], ['@null', null], ['@dataset().folder', 'in', dataset], ['@{dataset().FOLDER}/x', 'in/x', dataset],
  ];
  for (const [text, value, scope = pipeline] of values) {
    test(text === '' ? '(empty)' : text, () => assert.deepEqual(evaluateText(text, scope), value));
  }

  const problems: readonly [text: string, part: string, scope?: Scope][] = [
    ['@pipeline().parameters.dya', 'did you mean day?'], ['@pipeline().TriggerTime', '@pipeline().RunId'], ['@utcnow()', 'at "utcnow()"'],
    [
      "@activity('x').output", 'supported are',
    ],
    ['@concat(1', 'ends too early'], ['@concat(1 2)', 'at "2)"'], ["@concat('a)", 'single quote'],
    ['a@{pipeline().RunId', 'ends too early'],
    ['@{}', 'at "}"'], ['@pipeline()', 'ends too early'], ['@pipeline().RunId x', 'at "x"'], ['@dataset().folder', 'outside a dataset'], [
      '@pipeline().RunId', 'give the dataset a parameter', dataset,
    ],
    [`@${'concat('.repeat(60)}`, 'deeper'], ['@toString', 'supported are'], ['@pipeline().parameters.constructor', 'does not define'],
  ];
  for (const [text, part, scope = pipeline] of problems) {
    test(`refuses ${text.slice(0, 40)}`, () => {
      const result = evaluateText(text, scope);
      assert.ok(result instanceof ExpressionProblem, JSON.stringify(result));
      assert.ok(result.message.includes(part), result.message);
    });
  }

  test('what counts as an expression', () => {
    const yes: JsonValue[] = ['@x', '@@x', 'a@{x}', { type: 'Expression', value: 'x' }, { ' Value': '1', TYPE: 'expression' }];
    const no: JsonValue[] = [
      '@', 'a@b', '', 5, null, [], { type: 'SecureString', value: 'x' }, { type: 'Expression', value: 5 },
      { type: 'Expression', value: 'x', more: 1 },
    ];
    for (const value of yes) assert.ok(isExpression(value), JSON.stringify(value));
    for (const value of no) assert.ok(!isExpression(value), JSON.stringify(value));
  });

  test('whole documents are evaluated, problems told with their path', () => {
    const told: string[] = [];
    const result = evaluateDeep(
      { a: ['@pipeline().RunId', { b: { type: 'Expression', value: 'x@{1}' } }], ' c ': '@nope()' }, pipeline, 'p',
      (path) => told.push(path),
    );
    assert.deepEqual(result, { a: ['r-1', { b: 'x1' }], ' c ': null });
    assert.deepEqual(told, ['p.c']);
  });

  test('any text gives a value or a problem', () => {
    const parts = fc.constantFrom(
      '@', '@{', '}', '(', ')', 'concat', 'pipeline()', '.parameters', '.day', "'", "''", ',', ' ', '1', '[', ']', 'dataset', '.', 'x',
    );
    fc.assert(fc.property(fc.array(parts, { maxLength: 15 }), (texts) => {
      evaluateText(texts.join(''), pipeline);
    }), { numRuns: 2000 });
  });
});
