--[[
  Reads what a candidate for the dispatcher's role must know.

  KEYS[1]  lead    hash {n, token, node, address}: the epoch that is installed
  KEYS[2]  life    random id of the data set

  Returns {n, life}: the installed epoch number ('0': none) and the id of the data set ('': none).

  Why atomic: a loss of data between the two reads would pair an old epoch with a new life.
]]
return { redis.call('HGET', KEYS[1], 'n') or '0', redis.call('GET', KEYS[2]) or '' }
