import { defineErrors } from '@dmg/base';

export const engineErrors = defineErrors('ENGINE', {
  TOO_MANY_REFUSED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot skip more rows: the table has refused over {limit} rows of one chunk.',
    fix: 'Look at the last refusal below, and correct the mapping, the types or the constraints of the table.',
  },
  NO_SIDE_FILES: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write the log of the copy to {connector}: it is no store of files.',
    fix: 'Name a linked service of a file or blob store in redirectIncompatibleRowSettings or logSettings.',
  },
  TIMEOUT: {
    category: 'config', retry: 'never', scope: 'attempt',
    message: 'Cannot complete the copy: it ran longer than the {limitMs} ms of its policy.',
    fix: 'Raise `policy.timeout` of the activity, or copy less in one run; a retry goes on where this try stood.',
  },
  CONNECTOR_UNKNOWN: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot open the {side}: this node has no connector {connector}.',
    fix: 'Update this node to the version of the gateway, or use a store that it supports.',
  },
  NOT_A_SIDE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use {connector} as the {side} of a copy: it does not support that.',
    fix: 'Choose another store for the {side}.',
  },
  FORMATS_MIXED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy {source} to {sink}: one side has no columns.',
    fix: 'Give both datasets the type Binary to copy files as they are, or both a format with columns.',
  },
  COPY_BEHAVIOR: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the copyBehavior {value}: it is not known.',
    fix: 'Use PreserveHierarchy, FlattenHierarchy or MergeFiles.',
  },
  ONE_NAME_FOR_MANY: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write {files} files to {path}: the sink dataset names a single file.',
    fix: 'Leave `fileName` out of the sink dataset, select one source file, or set copyBehavior to MergeFiles.',
  },
  TARGET_TWICE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write {path}: both {first} and {second} would be copied to it.',
    fix: 'Rename one of the source files, or set copyBehavior to PreserveHierarchy.',
  },
  SOURCE_IS_TARGET: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy {source} to {target}: this path is a source of the same copy.',
    fix: 'Choose another folder or file name for the sink dataset.',
  },
  TOO_MANY_TO_MERGE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot merge {files} files into {path}: {store} takes at most {filesMax} pieces in one target.',
    fix: 'Merge fewer files in one copy, or merge in several steps.',
  },
  MERGE_COLUMNS: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot merge {path}: it has the columns {found}, but {first} has {expected}.',
    fix: 'Merge only files with the same columns in the same order, or give a mapping.',
  },
  PLAN_MISMATCH: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot resume job {jobId}: the plan at the sink was made for another definition of the activity.',
    fix: 'Run the pipeline again: a new run is a new job with a plan of its own.',
  },
  PLAN_VERSION: {
    category: 'config', retry: 'never', scope: 'attempt',
    message: 'Cannot resume job {jobId}: the plan at the sink has the format version {version}, which this node does not know.',
    fix: 'Update this node to the version of the gateway; other nodes can go on with the job.',
  },
  MARKS_INVALID: {
    category: 'system', retry: 'never', scope: 'job',
    message: 'Cannot finish {path}: the mark of chunk {chunk} does not fit the plan ({reason}).',
    fix: 'Something else changed the work files of this job at the sink. Run the pipeline again.',
  },
  ROWS_OVERLAP: {
    category: 'config', retry: 'never', scope: 'job',
    message:
      'Cannot copy {source}: the row delimiter before byte {position} stands within a row that ends at byte {end}, '
      + 'although multilineRows is false.',
    fix: 'Leave multilineRows out of the source dataset, or correct the file: a row must not go on behind a row delimiter. '
      + 'Rows that are in the table already are those of whole chunks; remove them before the next run.',
  },
  INCONSISTENT: {
    category: 'system', retry: 'never', scope: 'job',
    message: 'Cannot publish {path}: its chunk {chunk} (up to byte {endByte}) does not lie at the sink as it was written.',
    fix: 'Look at the disks and the other programs of the store: something changed the bytes after they had been written. Then run the '
      + 'pipeline again; nothing of this run was published.',
  },
  MARKS_VANISH: {
    category: 'system', retry: 'never', scope: 'attempt',
    message: 'Cannot finish job {jobId}: chunks were missing at the sink after they had been written, {rounds} times in a row.',
    fix: 'Make sure that nothing else cleans up or writes the same targets, then run the pipeline again.',
  },
  NO_TABLES: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot open the {side}: the format is {format}, which {connector} does not support here.',
    fix: 'Use a dataset of a table with a database, and a dataset of a file format with a store of files.',
  },
  TABLE_NOT_FOUND: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write {table}: there is no such table.',
    fix: 'Create the table, or set `tableOption` of the sink to autoCreate; check the spelling of schema and table.',
  },
  TABLE_ONTO_ITSELF: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy {table} to itself: source and sink are the same table of the same connection.',
    fix: 'Choose another table for the sink.',
  },
  NO_COLUMNS: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy to {target}: {source} has no columns.',
    fix: 'Check the source: a table needs a column, and a table that is created from files needs one file that is not empty.',
  },
  COLUMN_NOT_IN_TABLE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy column {column} of {source} to {table}: {reason}. Source: {sourceColumns}. Table: {tableColumns}.',
    fix: 'Rename the column, add it to the table, or give a mapping that names the columns to be copied.',
  },
  COLUMN_MAPPED_TWICE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy {source} to {table}: two source columns would be written to its column {column}.',
    fix: 'Give a mapping in which each column of the table appears once.',
  },
  COLUMN_COUNTS_DIFFER: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy {source} to {table}: the file has {found} columns without names, the table has {expected} ({tableColumns}).',
    fix: 'Give a mapping from ordinals to column names, or set firstRowAsHeader where the file has a header.',
  },
  COLUMN_UNNAMED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot create a table from {source}: its column {ordinal} has no name.',
    fix: 'Name the column in the header of the file, or give a mapping.',
  },
  TOO_MANY_STREAMS: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot copy {source} to {target}: it is read in {streams} pieces, but {store} takes at most {streamsMax} in one target.',
    fix: 'Choose fewer partitions for the source, or copy it in several runs.',
  },
  SNAPSHOT_POLICY: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the onSnapshotLost {value} of the source: it is not known.',
    fix: 'Use restart, perChunk or fail, or leave it out.',
  },
  PLAN_LATE: {
    category: 'transient', retry: 'backoff', scope: 'attempt',
    message: 'Cannot assist with job {jobId}: no plan of it stood at the sink within {limitMs} ms.',
    fix: 'Nothing needs to be done: the node that leads the copy copies what is left.',
  },
  ROWS_DIFFER: {
    category: 'system', retry: 'never', scope: 'attempt',
    message: 'Cannot copy {source}: the server says that it sent {sent} rows, and {received} arrived.',
    fix: 'Run the pipeline again. If it happens again, report it with the activity id and the log of this node.',
  },
  COMPRESSION_NOT_WRITTEN: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot write files with the compression {compression}: it is only read.',
    fix: 'Choose gzip, deflate or ZipDeflate for the sink. Where both ends have one compression and format, files are kept as they are.',
  },
  CONTENT_TOO_LARGE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot decompress {path}: it holds more than {limitBytes} bytes, which is the most in a copy of so many files to one target.',
    fix: 'Copy the file by itself, or do not merge so many files.',
  },
  CONTENT_SHORTER: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot go on with {path} at byte {position} of its content: it holds {contentBytes} bytes only.',
    fix: 'The file was changed while it was copied. Run the pipeline again.',
  },
});
