--[[
  Ends the lease of a holder that does not move any more.

  KEYS[1]  lease   token of the holder, with an expiry
  KEYS[2]  lead    hash {n, token, node, address, beat}, no expiry
  ARGV[1]  token   the holder that was seen
  ARGV[2]  beat    its beat as it was seen; '' when there was none: the holder has not installed its epoch here, and what stands in
                   lead is of an earlier grant

  Returns 'SEIZED'; 'ABSENT' when there is no lease; 'HELD' when the beat moved or somebody else holds the lease.

  Why atomic: a holder that renews, or a successor that takes the lease, between the comparison and the end must keep it.
]]
local holder = redis.call('GET', KEYS[1])
if not holder then
  return 'ABSENT'
end
local lead = redis.call('HMGET', KEYS[2], 'token', 'beat')
local beat = lead[1] == holder and lead[2] or ''
if holder ~= ARGV[1] or beat ~= ARGV[2] then
  return 'HELD'
end
redis.call('DEL', KEYS[1])
return 'SEIZED'
