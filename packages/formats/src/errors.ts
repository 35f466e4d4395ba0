import { defineErrors } from '@dmg/base';

/**
 * Errors of reading, mapping, converting and writing delimited text. Rows count from 1 and row 0 is what stands before them, skipped
 * lines and the header; positions are bytes of the source from 0; a column is its name, or its number from 1 where it has none.
 */
export const formatErrors = defineErrors('FORMATS', {
  INVALID_VALUE: {
    category: 'config', retry: 'never', scope: 'row',
    message:
      'Cannot convert column {column} in row {row} of {file} (byte {position}) from {sourceType} to {sinkType}: {reason}; it is {value}.',
    fix: 'Correct the value at the source, or choose types and formats in the mapping that can hold it.',
  },
  COLUMN_COUNT: {
    category: 'config', retry: 'never', scope: 'row',
    message: 'Cannot read row {row} of {file}: it has {found} columns where {expected} are expected; the row starts at byte {position}.',
    fix: 'Correct the row, or check columnDelimiter, quoteChar and escapeChar of the source dataset.',
  },
  UNCLOSED_QUOTE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read row {row} of {file}: the quote that opens at byte {position} (column {column}) is never closed.',
    fix: 'Close the quote, or check quoteChar and escapeChar of the source dataset.',
  },
  TEXT_AFTER_QUOTE: {
    category: 'config', retry: 'never', scope: 'row',
    message: 'Cannot read row {row} of {file}: at byte {position} (column {column}) a closing quote is followed by other text.',
    fix: 'Double or escape quotes inside quoted values, or check quoteChar and escapeChar of the source dataset.',
  },
  RECORD_TOO_LARGE: {
    category: 'config', retry: 'never', scope: 'job',
    message:
      'Cannot read row {row} of {file}: from byte {position} on it is over {limitBytes} bytes in column {column} (byte {columnPosition}).',
    fix: 'Look for a quote at this column that is never closed, and check rowDelimiter, quoteChar and escapeChar of the source dataset.',
  },
  TOO_MANY_COLUMNS: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read {file}: its first row, at byte {position}, has {found} columns and {limit} are the most that are supported.',
    fix: 'Check columnDelimiter and rowDelimiter of the source dataset.',
  },
  COLUMN_NOT_FOUND: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot map column {column} of {file}: {reason}.',
    fix: 'Correct the mapping of the copy activity. {hint}',
  },
  BAD_MAPPING: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the mapping: {reason}.',
    fix: 'Correct the translator of the copy activity.',
  },
  ADDED_COLUMN: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot add the column {column} to {file}: {reason}.',
    fix: 'Correct additionalColumns of the source.',
  },
  BAD_PATTERN: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the format {pattern} for {type}: {reason}.',
    fix: 'Use {supported}; put other text between single quotes.',
  },
  BAD_FORMAT: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot use the delimited text format: {reason}.',
    fix: 'Correct {property} of the dataset.',
  },
  WRONG_ENCODING: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read row {row} of {file} as {encoding}: {reason} at byte {position} (column {column}).',
    fix: 'Set encodingName of the source dataset to the encoding in which the file is written.',
  },
  JSON_SYNTAX: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read object {row} of {file}: at byte {position} {reason}.',
    fix: 'Correct the file. It must hold JSON objects one after the other, or one array of objects. '
      + 'A mapping says which properties are wanted where not every object has the same.',
  },
  JSON_TOO_LARGE: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read object {row} of {file}: from byte {position} on it is over {limitBytes} bytes.',
    fix: 'Write smaller objects; look for a brace or a quote that is never closed.',
  },
  JSON_NO_COLUMNS: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read {file}: its first object, at byte {position}, has no property, so that nobody knows which columns there are.',
    fix: 'Give a mapping that names the properties to be copied.',
  },
  HEADER_NEEDED: {
    category: 'system', retry: 'never', scope: 'attempt',
    message: 'Cannot read {file} from byte {position} on: the names of its columns were not given.',
    fix: 'This is a defect of the gateway. Report it with the activity id and the log of this node.',
  },
  COMPRESSION_INVALID: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot decompress {file} as {compression}: {reason}, at byte {position} of the compressed file.',
    fix: 'Check the file and the compression of the source dataset.',
  },
  COMPRESSION_TRUNCATED: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot decompress {file} as {compression}: it is cut off, its data does not end before byte {position}, where the file ends.',
    fix: 'Provide the whole file, and run the pipeline again.',
  },
  ARCHIVE_INVALID: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read the archive {file}: {reason} (byte {position}).',
    fix: 'Check that the file is a whole zip archive, or correct the compression of the source dataset.',
  },
  ARCHIVE_ENTRY: {
    category: 'config', retry: 'never', scope: 'job',
    message: 'Cannot read {name} in the archive {file}: {reason}.',
    fix: 'Make the archive anew with relative names, without a password and with the method deflate.',
  },
  ARCHIVE_TOO_LARGE: {
    category: 'system', retry: 'never', scope: 'attempt',
    message: 'Cannot write the archive of {file}: {contentBytes} bytes are more than it was begun for.',
    fix: 'Use the compression gzip for this sink, or copy to a sink without compression.',
  },
});
