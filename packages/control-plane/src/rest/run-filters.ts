import { z } from 'zod';
import { controlPlaneErrors } from '../errors.ts';
import { readSkip } from './pages.ts';

/** A run as filters and orders see it. */
export type FilterValues = Readonly<Record<string, string | number | undefined>>;

const filterSchema = z.looseObject({
  continuationToken: z.string().nullish(),
  lastUpdatedAfter: z.iso.datetime({ offset: true, local: true }),
  lastUpdatedBefore: z.iso.datetime({ offset: true, local: true }),
  filters: z.array(z.looseObject({ operand: z.string(), operator: z.string(), values: z.array(z.string()) })).nullish(),
  orderBy: z.array(z.looseObject({ orderBy: z.string(), order: z.string() })).nullish(),
});

export interface RunQuery {
  readonly afterMs: number;
  readonly beforeMs: number;
  readonly skip: number;
  readonly matches: (values: FilterValues) => boolean;
  /** Undefined: newest first. */
  readonly compare: ((a: FilterValues, b: FilterValues) => number) | undefined;
}

/** RunFilterParameters of the REST API; `operands` are the names that may be filtered and ordered by. */
export function readRunQuery(body: unknown, operands: readonly string[]): RunQuery {
  const parsed = filterSchema.safeParse(body ?? {});
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw controlPlaneErrors.BODY_REFUSED.create({
      path: issue?.path.join('.') || 'body', reason: `is not as it must be (${issue?.message ?? 'unknown'})`,
    });
  }
  const { filters, orderBy, ...rest } = parsed.data;
  const tests = (filters ?? []).map((filter, index) => filterTest(filter, `filters[${index}]`, operands));
  const orders = (orderBy ?? []).map(
    ({ orderBy: field, order }, index) => comparison(operandNamed(field, `orderBy[${index}].orderBy`, operands), order),
  );
  return {
    afterMs: momentOf(rest.lastUpdatedAfter),
    beforeMs: momentOf(rest.lastUpdatedBefore),
    skip: readSkip(rest.continuationToken),
    matches: (values) => tests.every((test) => test(values)),
    compare: orders.length === 0 ? undefined : (a, b) => orders.map((order) => order(a, b)).find((sign) => sign !== 0) ?? 0,
  };
}

/** A moment without an offset is UTC, as the product reads it. */
function momentOf(text: string): number {
  return Date.parse(/(Z|[+-]\d\d:?\d\d)$/i.test(text) ? text : `${text}Z`);
}

function filterTest(
  filter: { operand: string; operator: string; values: readonly string[] },
  path: string,
  operands: readonly string[],
): (values: FilterValues) => boolean {
  const operand = operandNamed(filter.operand, `${path}.operand`, operands);
  const wanted = new Set(filter.values.map((value) => value.toLowerCase()));
  const contains = (values: FilterValues): boolean => wanted.has(String(values[operand] ?? '').toLowerCase());
  switch (filter.operator.toLowerCase()) {
    case 'equals':
    case 'in': return contains;
    case 'notequals':
    case 'notin': return (values) => !contains(values);
    default: throw controlPlaneErrors.BODY_REFUSED.create({ path: `${path}.operator`, reason: 'is none of Equals, NotEquals, In, NotIn' });
  }
}

function operandNamed(name: string, path: string, operands: readonly string[]): string {
  const found = operands.find((operand) => operand.toLowerCase() === name.toLowerCase());
  if (found === undefined) throw controlPlaneErrors.BODY_REFUSED.create({ path, reason: `is none of ${operands.join(', ')}` });
  return found;
}

function comparison(operand: string, order: string): (a: FilterValues, b: FilterValues) => number {
  const sign = order.toUpperCase() === 'DESC' ? -1 : 1;
  return (a, b) => {
    const [left, right] = [a[operand] ?? '', b[operand] ?? ''];
    return left === right ? 0 : left < right ? -sign : sign;
  };
}
