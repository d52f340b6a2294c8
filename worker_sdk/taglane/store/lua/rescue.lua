-- rescue: take over what a dead worker held. died: what a living worker held and its child process died in.
--
-- The claim is the worker's heartbeat counter as the caller saw it stand still: if it has moved since, the worker lives
-- and nothing happens. A run that is known to have started, or was served alone, has a death counted; past the limit,
-- or at once when its task asked for it (acks_late=False), it becomes a dead letter. All others wait at the head again.
--
-- KEYS  1 the tenant's prefix
-- ARGV  rescue: 1 worker  2 its counter as seen; died: 1 id  2 token
-- Writes run, leases, held, queue, dead, worker, workers; rings tags. Returns {runs queued again, dead letters}.
local function take_over(P, t, run, started, tally)
    local key = run_key(P, run.id)
    local f = redis.call('HMGET', key, 'started', 'rescues', 'last', 'deaths')
    local deaths = tonumber(f[4] or '0')
    if started or f[1] or tonumber(f[2] or '0') >= ALONE_AFTER then
        deaths = redis.call('HINCRBY', key, 'deaths', 1)
    end
    redis.call('HINCRBY', key, 'rescues', 1)
    release(P, run)
    if f[3] or deaths >= MAX_DEATHS then
        end_run(P, t, run, 'dead', {'error', 'worker ' .. run.holder .. ' died in it; deaths: ' .. deaths})
        tell(tally, run.job, 'dead')
        return 0, 1
    end
    redis.call('HSET', key, 'state', 'queued')
    redis.call('HDEL', key, 'started')
    push(P, run.id, run.tag, run.step, true)
    return 1, 0
end

local function rescue(keys, args)
    local P, t, worker = keys[1], now(), args[1]
    local beat = redis.call('HGET', worker_key(P, worker), 'beat')
    if beat and beat ~= args[2] then
        return {0, 0}
    end
    local queued, dead, tally = 0, 0, {}
    for _, id in ipairs(redis.call('SMEMBERS', held_key(P, worker))) do
        local run = load_run(P, id)
        if run and run.holder == worker and not ENDED[run.state] then
            local again, lost = take_over(P, t, run, false, tally)
            queued, dead = queued + again, dead + lost
        end
    end
    redis.call('DEL', held_key(P, worker), worker_key(P, worker), cancels_key(P, worker))
    redis.call('SREM', workers_key(P), worker)
    enter(P, t, tally)
    return {queued, dead}
end

local function died(keys, args)
    local P, t, tally = keys[1], now(), {}
    local run = load_run(P, args[1])
    if not run or ENDED[run.state] or run.token ~= args[2] then
        return {0, 0}
    end
    local queued, dead = take_over(P, t, run, true, tally)
    enter(P, t, tally)
    return {queued, dead}
end

redis.register_function{function_name = 'taglane_rescue', callback = rescue, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_died', callback = died, flags = {'allow-oom'}}
