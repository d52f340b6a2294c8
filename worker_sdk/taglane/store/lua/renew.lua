-- renew: a worker's heartbeat. It keeps every lease of the worker, since who is watched is the worker.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 worker  2 runs it is executing  3 how many of the following have started  4.. four a started run: id, token,
--       ms since its start, '1' when one death is its last; then two a held run: id, token
-- Writes worker, run, cancels. Returns 0 when the worker was given up for dead, else {lost ids, ids to cancel}.
-- beat: the heartbeat alone, from the helper process of a worker whose own threads may be silenced by a task.
local function renew(keys, args)
    local P, t, worker = keys[1], now(), args[1]
    if redis.call('HGET', worker_key(P, worker), 'beat') == false then
        return 0
    end
    redis.call('HINCRBY', worker_key(P, worker), 'beat', 1)
    redis.call('HSET', worker_key(P, worker), 'seen', int(t), 'active', args[2])
    local after = 4 + 4 * tonumber(args[3])
    for i = 4, after - 1, 4 do
        local f = redis.call('HMGET', run_key(P, args[i]), 'token', 'state')
        if f[1] == args[i + 1] and not ENDED[f[2]] then
            redis.call('HSET', run_key(P, args[i]), 'state', 'running', 'started', '1',
                'started_at', int(t - tonumber(args[i + 2])))
            if args[i + 3] == '1' then
                redis.call('HSET', run_key(P, args[i]), 'last', '1')
            end
        end
    end
    local lost = {}
    for i = after, #args, 2 do
        local f = redis.call('HMGET', run_key(P, args[i]), 'token', 'state')
        if f[1] ~= args[i + 1] or ENDED[f[2]] then
            lost[#lost + 1] = args[i]
        end
    end
    local cancels = redis.call('SMEMBERS', cancels_key(P, worker))
    redis.call('DEL', cancels_key(P, worker))
    return {lost, cancels}
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
