-- replay: make a new run of one that failed or that we gave up on, linked to it.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 id  2 the new run's id  3 its envelope, '' for that of the old one
-- Reads limits; writes run, runs, last, queue, dead, ended, unwell, ledger, job-ledger; rings the tag. Returns the new run's id, ''
-- when the run is missing or has no envelope any more (a succeeded one), or the id of the run that an earlier replay of a
-- dead letter made; an error as of enqueue when a limit is in the way.
-- What joins a chord, or tells how a run ended, still does so when it is replayed.
local function replay(keys, args)
    local P, t = keys[1], now()
    local f = redis.call('HMGET', run_key(P, args[1]), 'state', 'task', 'tag', 'step', 'envelope', 'job', 'replayed',
        'ended', 'of', 'join')
    if not f[5] or not ENDED[f[1]] then
        return ''
    end
    if f[1] == 'dead' and f[7] then
        return f[7]
    end
    if redis.call('EXISTS', run_key(P, args[2])) == 1 then
        return args[2]
    end
    local why_not = refusal(P, t, 1, #(args[3] or ''), function() return 1 end)
    if why_not then
        return why_not
    end
    local extra = {'of', f[8] and f[9] or args[1]}
    if f[8] then
        extra[3], extra[4] = 'ended', f[8]
    elseif f[10] then
        extra[3], extra[4], extra[5], extra[6] = 'join', f[10], 'deps', '1'
    end
    local envelope = args[3] ~= '' and args[3] or f[5]
    admit(P, t, {id = args[2], task = f[2], tag = f[3], step = f[4], envelope = envelope, job = f[6] or nil, extra = extra})
    book(f[6], 'replayed')
    redis.call('HSET', run_key(P, args[1]), 'replayed', args[2])
    if redis.call('ZREM', dead_key(P), args[1]) == 1 then
        redis.call('ZADD', ended_key(P), int(t), args[1])
        redis.call('ZADD', unwell_key(P), int(t), args[1])
    end
    return args[2]
end

redis.register_function('taglane_replay', booking(replay))
