import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createdType, isPlainType } from './column-type.ts';

test('types as a server writes them are used, others are not put into a statement', () => {
  const types = [
    'numeric(15,2)', 'numeric(5,-2)', 'timestamp(3) with time zone', 'interval day to second(3)', 'double precision', '"char"', 'text[]',
    'own.kind', '"Odd ""Pair"', '"Odd ""Pair"[]', '"own schema"."a b"',
  ];
  for (const type of types) assert.ok(isPlainType(type), type);
  for (const type of ['text; DROP TABLE t', 'text)', '"a', '"a"b"', "text DEFAULT 'x'", '']) assert.ok(!isPlainType(type), type);
});

test('a type that the server does not have becomes one that holds the same values', () => {
  const column = { name: 'c', type: 'String', nativeType: '"Odd ""Pair"', nullable: true } as const;
  assert.equal(createdType(column, new Set([column.nativeType])), '"Odd ""Pair"');
  assert.equal(createdType(column, new Set()), 'text');
});
