-- cancel: end a run that waits, or ask the worker that holds it to stop it. expire: end what waited for too long.
--
-- A cancelled id stays in its queue's list until it comes to the head: finding it there would cost O(queue). A run that
-- is parked behind others of its job leaves their list at once. A cancel that is asked of a worker holds also when the
-- worker dies or gives the run back. The run's error says what a cancel came to.
--
-- KEYS  1 the tenant's prefix
-- ARGV  cancel: 1 id  2 why; expire: none
-- Reads leases; writes run, delayed, parked, expiring, ended, cancels, queue, aside, ledger, job-ledger.
-- Returns 'missing', 'ended', 'cancelled' or 'asked' (cancel), how many (expire).

local function cancel(keys, args)
    local P, t = keys[1], now()
    local run = load_run(P, args[1])
    if not run then
        return 'missing'
    end
    if ENDED[run.state] then
        return 'ended'
    end
    return stop_run(P, t, run, args[2])
end

-- Answers the run that it ended.
local function expire_one(P, t, id)
    redis.call('ZREM', expiring_key(P), id)
    local run = load_run(P, id)
    if not run or ENDED[run.state] or redis.call('ZSCORE', leases_key(P), id) then
        return nil
    end
    redis.call('ZREM', delayed_key(P, run.tag), id)
    end_run(P, t, run, 'expired', {})
    return run
end

local function expire(keys)
    local P, t, count, queues = keys[1], now(), 0, {}
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', expiring_key(P), '-inf', int(t), 'LIMIT', 0, 256)) do
        local run = try(P, id, expire_one, P, t, id)
        if run then
            queues[queue_key(P, run.tag, run.step)] = run
            count = count + 1
        end
    end
    for _, run in pairs(queues) do
        drop_heads(P, run.tag, run.step)
    end
    return count
end

redis.register_function{function_name = 'taglane_cancel', callback = booking(cancel), flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_expire', callback = booking(expire), flags = {'allow-oom'}}
