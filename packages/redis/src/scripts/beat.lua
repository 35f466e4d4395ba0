--[[
  Shows that the holder of the lease lives, whatever the server's clock says of the lease's expiry.

  KEYS[1]  lease   token of the holder, with an expiry
  KEYS[2]  lead    hash {n, token, node, address, beat}, no expiry
  ARGV[1]  token   random token of the grant

  Returns 'OK', or 'LOST' when the lease is not that of the grant, or another grant is installed, or none (the data was lost).

  Why atomic: the beat of a holder that was replaced in between would make its successor's look alive.
]]
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('HGET', KEYS[2], 'token') ~= ARGV[1] then
  return 'LOST'
end
redis.call('HINCRBY', KEYS[2], 'beat', 1)
return 'OK'
