-- hello: enter a worker among its tenant's workers. leave: strike it out; what it holds goes back uncounted.
--
-- KEYS  1 the tenant's prefix
-- ARGV  hello: 1 worker  2.. fields and values that describe it (info, tags, tasks); leave: 1 worker
-- Writes workers, worker; leave also run, leases, held, queue. Returns the server's time (hello), runs handed back (leave).
local function hello(keys, args)
    local P, worker = keys[1], args[1]
    local t = now()
    redis.call('SADD', workers_key(P), worker)
    redis.call('HSET', worker_key(P, worker), 'beat', '0', 'seen', int(t), unpack(args, 2))
    return t
end

local function leave(keys, args)
    local P, worker, count = keys[1], args[1], 0
    for _, id in ipairs(redis.call('SMEMBERS', held_key(P, worker))) do
        local run = load_run(P, id)
        if run and run.holder == worker and not ENDED[run.state] then
            release(P, run)
            redis.call('HINCRBY', run_key(P, id), 'attempts', -1)
            redis.call('HSET', run_key(P, id), 'state', 'queued')
            redis.call('HDEL', run_key(P, id), 'started')
            push(P, id, run.tag, run.step, true)
            count = count + 1
        end
    end
    redis.call('DEL', held_key(P, worker), worker_key(P, worker), cancels_key(P, worker))
    redis.call('SREM', workers_key(P), worker)
    return count
end

redis.register_function{function_name = 'taglane_hello', callback = hello, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_leave', callback = leave, flags = {'allow-oom'}}
