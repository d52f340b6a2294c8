-- replay: make a new run of one that failed or that we gave up on, linked to it.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 id  2 the new run's id
-- Writes run, runs, queue, dead; rings the tag. Returns the new run's id, '' when the run is missing or has no envelope
-- any more (a succeeded one), or the id of the run that an earlier replay of a dead letter made.
local function replay(keys, args)
    local P, t = keys[1], now()
    local f = redis.call('HMGET', run_key(P, args[1]), 'state', 'task', 'tag', 'step', 'envelope', 'job', 'replayed')
    if not f[5] or not ENDED[f[1]] then
        return ''
    end
    if f[1] == 'dead' and f[7] then
        return f[7]
    end
    admit(P, t, {id = args[2], task = f[2], tag = f[3], step = f[4], envelope = f[5], job = f[6] or nil,
        extra = {'of', args[1]}})
    redis.call('HSET', run_key(P, args[1]), 'replayed', args[2])
    if redis.call('ZREM', dead_key(P), args[1]) == 1 then
        redis.call('ZADD', ended_key(P), int(t), args[1])
    end
    return args[2]
end

redis.register_function('taglane_replay', replay)
