-- renew: a worker's heartbeat. It keeps every lease of the worker, since who is watched is the worker. What it is asked
-- to cancel it is told at every heartbeat until it has let go of it: the answer may be lost, or come before the task. Of
-- very many, some each time. A pool's worker says so in each tenant of which it holds something: its heart beats elsewhere.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 worker  2 runs it is executing  3 how many of the following have started  4.. four a started run: id, token,
--       ms since its start, '1' when one death is its last; then two a held run: id, token
-- Reads cancels, workers; writes worker, run. Returns 0 when the worker was given up for dead, else {lost ids, ids to
-- cancel, how many workers the tenant has}: who is alone need not look after others.
-- beat: the heartbeat alone, from the helper process of a worker whose own threads may be silenced by a task.
local function holds(P, id, token)
    local f = redis.call('HMGET', run_key(P, id), 'token', 'state')
    return f[1] == token and not ENDED[f[2]]
end

local function mark(P, t, id, token, ran, last)
    if holds(P, id, token) then
        redis.call('HSET', run_key(P, id), 'state', 'running', 'started', '1', 'started_at', int(t - tonumber(ran)))
        if last == '1' then
            redis.call('HSET', run_key(P, id), 'last', '1')
        end
    end
end

local function renew(keys, args)
    local P, t, worker = keys[1], now(), args[1]
    local known = redis.call('HMGET', worker_key(P, worker), 'beat', 'pool', 'lost')
    if known[3] or not known[1] and not known[2] then
        return 0
    end
    if known[1] then
        redis.call('HINCRBY', worker_key(P, worker), 'beat', 1)
        redis.call('HSET', worker_key(P, worker), 'seen', int(t), 'active', args[2])
    else
        redis.call('HSET', worker_key(P, worker), 'seen', int(t))
        redis.call('PEXPIRE', worker_key(P, worker), POOL_MS)
    end
    local after = 4 + 4 * tonumber(args[3])
    for i = 4, after - 1, 4 do
        try(P, nil, mark, P, t, args[i], args[i + 1], args[i + 2], args[i + 3])
    end
    local lost = {}
    for i = after, #args, 2 do
        if not try(P, nil, holds, P, args[i], args[i + 1]) then
            lost[#lost + 1] = args[i]
        end
    end
    return {lost, redis.call('SRANDMEMBER', cancels_key(P, worker), MOST), redis.call('SCARD', workers_key(P))}
end

local function beat(keys, args)
    local key = worker_key(keys[1], args[1])
    if redis.call('HGET', key, 'beat') == false then
        return 0
    end
    redis.call('HSET', key, 'seen', int(now()))
    return redis.call('HINCRBY', key, 'beat', 1)
end

redis.register_function{function_name = 'taglane_renew', callback = renew, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_beat', callback = beat, flags = {'allow-oom'}}
