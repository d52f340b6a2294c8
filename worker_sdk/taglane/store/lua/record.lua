-- record: keep a result under an id that no worker executes here (a chain's later links when an earlier one failed).
-- progress: what a running task says of itself; that it is about to be replaced, too, so that its id is open again.
--
-- KEYS  1 the tenant's prefix
-- ARGV  record: 1 id  2 state  3 result  4 task  5 tag; progress: 1 id  2 token  3 JSON {"s": state, "r": meta},
--       '' when other runs replace it
-- Reads leases; writes run, runs, delayed, ended, ledger, job-ledger; publishes done. Returns 1 or 0.
local function record(keys, args)
    local P, t = keys[1], now()
    local run = load_run(P, args[1])
    if run and (ENDED[run.state] or redis.call('ZSCORE', leases_key(P), run.id)) then
        return 0
    end
    if not run then
        run = {id = args[1], tag = args[5], step = '0'}
        redis.call('HSET', run_key(P, run.id), 'task', args[4], 'tag', args[5], 'step', '0', 'queued_at', int(t))
        redis.call('ZADD', runs_key(P), int(t), run.id)
        book(nil, 'made')
    end
    redis.call('ZREM', delayed_key(P, run.tag), run.id)
    end_run(P, t, run, args[2], {'result', args[3]}, true)
    return 1
end

local function progress(keys, args)
    local key = run_key(keys[1], args[1])
    local f = redis.call('HMGET', key, 'token', 'state')
    if f[1] ~= args[2] or ENDED[f[2]] then
        return 0
    end
    if args[3] == '' then
        return redis.call('HSET', key, 'replacing', '1')
    end
    redis.call('HSET', key, 'state', 'running', 'started', '1', 'progress', args[3])
    redis.call('HSETNX', key, 'started_at', int(now()))
    return 1
end

-- Both belong to runs that are there already: on a full server, too, these go on, and end.
redis.register_function{function_name = 'taglane_record', callback = booking(record), flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_progress', callback = progress, flags = {'allow-oom'}}
