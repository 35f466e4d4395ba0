--[[
  Takes the record of a job out.

  KEYS[1]  lead     hash {n, token, …}: the epoch that is installed
  KEYS[2]  job:<id> hash {epochN, version, data}
  KEYS[3]  index    hash {id: 'epochN.version'} of all records
  ARGV[1]  n        epoch of the writer
  ARGV[2]  token    its token
  ARGV[3]  id       id of the job

  Returns 'OK', also when there was no record; 'STALE' when another epoch is installed, or none.

  Why atomic: record and index must agree, and a writer whose epoch was replaced must not remove its successor's record.
]]
local lead = redis.call('HMGET', KEYS[1], 'n', 'token')
if lead[1] ~= ARGV[1] or lead[2] ~= ARGV[2] then
  return 'STALE'
end
redis.call('DEL', KEYS[2])
redis.call('HDEL', KEYS[3], ARGV[3])
return 'OK'
