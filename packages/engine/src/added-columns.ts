import { type AddedColumn, findSourceColumn, withAddedColumns } from '@dmg/formats';
import type { CopyActivity, TableColumn } from '@dmg/model';
import type { SourceShape } from './column-plan.ts';

/** The columns that the activity adds to those of one file or table. `path`: of the file, relative to the source folder. */
export function addedColumns(activity: CopyActivity, path: string): readonly AddedColumn[] {
  return (activity.additionalColumns ?? []).map(({ name, value }): AddedColumn => {
    switch (value.kind) {
      case 'text': return { name, text: value.text };
      case 'filePath': return { name, text: path };
      case 'column': return { name, column: value.column };
    }
  });
}

/** The source as mappings see it. */
export function shapeWithAdded(shape: SourceShape, activity: CopyActivity): SourceShape {
  const added = addedColumns(activity, shape.path);
  const columns = shape.columns === undefined ? {} : { columns: tableColumnsWithAdded(shape.columns, added, shape.path) };
  return { ...shape, ...withAddedColumns(shape, added, shape.path), ...columns };
}

/** Added texts are String, a column that is repeated has its type. */
export function tableColumnsWithAdded(
  columns: readonly TableColumn[], added: readonly AddedColumn[], path: string,
): readonly TableColumn[] {
  const names = columns.map((column) => column.name);
  return [...columns, ...added.map((column): TableColumn => {
    const repeated = 'column' in column ? columns[findSourceColumn(column.column, { count: names.length, names }, path)] : undefined;
    return repeated === undefined ? { name: column.name, type: 'String', nullable: true } : { ...repeated, name: column.name };
  })];
}
