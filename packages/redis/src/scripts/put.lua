--[[
  Writes the record of a job.

  KEYS[1]  lead     hash {n, token, …}: the epoch that is installed
  KEYS[2]  job:<id> hash {epochN, version, data}
  KEYS[3]  index    hash {id: 'epochN.version'} of all records
  ARGV[1]  n        epoch of the writer
  ARGV[2]  token    its token
  ARGV[3]  id       id of the job
  ARGV[4]  epochN   order of the record, first part
  ARGV[5]  version  order of the record, second part
  ARGV[6]  data     the record as JSON

  Returns 'OK'; 'STALE' when another epoch is installed, or none (the data was lost); 'OLD' when the stored record is newer by
  (epochN, version). Writing the same (epochN, version) again is OK: an answer may have been lost.

  Why atomic: record and index must agree, and a writer whose epoch was replaced between check and write would overwrite its
  successor's record.
]]
local lead = redis.call('HMGET', KEYS[1], 'n', 'token')
if lead[1] ~= ARGV[1] or lead[2] ~= ARGV[2] then
  return 'STALE'
end
local stored = redis.call('HMGET', KEYS[2], 'epochN', 'version')
if stored[1] then
  local epochN, version = tonumber(stored[1]), tonumber(stored[2])
  if epochN > tonumber(ARGV[4]) or (epochN == tonumber(ARGV[4]) and version > tonumber(ARGV[5])) then
    return 'OLD'
  end
end
redis.call('HSET', KEYS[2], 'epochN', ARGV[4], 'version', ARGV[5], 'data', ARGV[6])
redis.call('HSET', KEYS[3], ARGV[3], ARGV[4] .. '.' .. ARGV[5])
return 'OK'
