-- hello: enter a worker among its tenant's workers. leave: strike it out; what it holds goes back uncounted.
-- drain: let a worker take no more; its next fetch tells it, and it ends when it has done what it holds.
--
-- KEYS  1 the tenant's prefix
-- ARGV  hello: 1 worker  2.. fields and values that describe it (info, tags, tasks); leave, drain: 1 worker
-- Writes workers, worker; leave also run, runs, leases, held, queue, cancels, expiring, aside, ledger, job-ledger. A new
-- worker's hello wakes the schedulers.
-- Returns the server's time (hello), runs handed back (leave), 1 or 0 for an unknown worker (drain).
local function hello(keys, args)
    local P, worker = keys[1], args[1]
    local t = now()
    if redis.call('SADD', workers_key(P), worker) == 1 then
        redis.call('PUBLISH', wake_channel(P), int(t)) -- schedulers watch only those of whom they know
    end
    redis.call('HSET', worker_key(P, worker), 'beat', '0', 'seen', int(t), unpack(args, 2))
    redis.call('HDEL', worker_key(P, worker), 'seq', 'taken', 'drain') -- it counts its fetches anew, and may be a new one
    return t
end

-- Answers nil for an entry without a run.
local function return_one(P, t, worker, id)
    local run = load_run(P, id)
    if not run then
        return nil
    end
    if run.holder ~= worker or ENDED[run.state] then
        return false
    end
    release(P, run)
    redis.call('HINCRBY', run_key(P, id), 'attempts', -1)
    return wait_again(P, t, run)
end

local function leave(keys, args)
    local P, t, worker, count = keys[1], now(), args[1], 0
    local held = redis.call('SRANDMEMBER', held_key(P, worker), MOST + 1)
    for i = 1, math.min(#held, MOST) do
        local back = try(P, held[i], return_one, P, t, worker, held[i])
        if back then
            count = count + 1
        else
            forget_lease(P, worker, held[i], back == nil)
        end
    end
    if #held > MOST then
        return count -- the rest goes back when this worker is found dead
    end
    redis.call('DEL', held_key(P, worker), worker_key(P, worker), cancels_key(P, worker))
    redis.call('SREM', workers_key(P), worker)
    return count
end

-- Its bells are left alone: a token may wake another worker, and it asks by itself within seconds.
local function drain(keys, args)
    local key = worker_key(keys[1], args[1])
    if not redis.call('HGET', key, 'beat') then
        return 0
    end
    redis.call('HSET', key, 'drain', '1')
    return 1
end

redis.register_function{function_name = 'taglane_hello', callback = hello, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_leave', callback = booking(leave), flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_drain', callback = drain, flags = {'allow-oom'}}
