-- fetch: lease waiting runs to a worker.
--
-- Takes from the head of the queues, the urgent step first. Each call carries the worker's next sequence number: asked
-- again with the same one, because the reply was lost, it gives the same runs again, so none is held by a worker that
-- does not know of it. What was cancelled or expired is dropped here; an entry without a readable run is laid aside.
-- A run that was rescued twice is served alone, to a worker that holds nothing, so that it takes no neighbours along.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 worker  2 sequence number  3 how many at most  4 '1' when the worker holds nothing  5.. tags
-- Writes run, leases, held, queue, delayed, worker, aside; rings a tag that has more.
-- Returns 0 for an unknown worker, else {server's time, ms until a delayed run is due (-1: none), runs}, a run being
-- {id, token, envelope, attempts, tag, job, due, rescues, ended, of, task}.
local function entry(P, id, token)
    local f = redis.call('HMGET', run_key(P, id), 'envelope', 'attempts', 'tag', 'job', 'due', 'rescues',
        'ended', 'of', 'task')
    return {id, int(token), f[1] or '', f[2] or '1', f[3] or '', f[4] or '', f[5] or '', f[6] or '0', f[7] or '',
        f[8] or '', f[9] or ''}
end

local function again(P, taken)
    local runs = {}
    for id, token in string.gmatch(taken, '(%S+) (%d+)') do
        local f = redis.call('HMGET', run_key(P, id), 'token', 'state')
        if f[1] == token and not ENDED[f[2]] then
            runs[#runs + 1] = entry(P, id, tonumber(token))
        end
    end
    return runs
end

local function lease(P, t, worker, id)
    local key = run_key(P, id)
    local token = redis.call('HINCRBY', key, 'token', 1)
    redis.call('HINCRBY', key, 'attempts', 1)
    redis.call('HSET', key, 'holder', worker)
    redis.call('ZADD', leases_key(P), int(t), id)
    redis.call('SADD', held_key(P, worker), id)
    return entry(P, id, token)
end

-- Decide what to do with the id at the head of a queue: 'take', 'alone', 'drop'.
local function judge(P, t, id)
    local f = redis.pcall('HMGET', run_key(P, id), 'state', 'rescues', 'expires')
    if f.err or not f[1] then
        redis.call('RPUSH', aside_key(P), id)
        return 'drop'
    end
    if f[1] ~= 'queued' then
        return 'drop'
    end
    if f[3] and tonumber(f[3]) <= t then
        end_run(P, t, load_run(P, id), 'expired', {})
        return 'drop'
    end
    return tonumber(f[2] or '0') >= ALONE_AFTER and 'alone' or 'take'
end

local function fetch(keys, args)
    local P, t, worker, seq, most, idle = keys[1], now(), args[1], args[2], tonumber(args[3]), args[4] == '1'
    local known = redis.call('HMGET', worker_key(P, worker), 'beat', 'seq', 'taken')
    if not known[1] then
        return 0
    end
    if known[2] == seq then
        return {t, -1, again(P, known[3])}
    end
    local runs, taken, wait, stop = {}, {}, -1, false
    for i = 5, #args do
        promote(P, t, args[i])
        local next_in = next_delayed(P, t, args[i])
        if next_in and (wait < 0 or next_in < wait) then
            wait = next_in
        end
    end
    for _, step in ipairs(STEPS) do
        for i = 5, #args do
            local queue = queue_key(P, args[i], step)
            while #runs < most and not stop do
                local id = redis.call('LPOP', queue)
                if not id then
                    break
                end
                local verdict = judge(P, t, id)
                if verdict == 'alone' and (#runs > 0 or not idle) then
                    redis.call('LPUSH', queue, id)
                    stop = true
                elseif verdict ~= 'drop' then
                    local run = lease(P, t, worker, id)
                    runs[#runs + 1], taken[#taken + 1] = run, id .. ' ' .. run[2]
                    stop = verdict == 'alone'
                end
            end
            if #runs > 0 and (stop or #runs >= most) and redis.call('LLEN', queue) > 0 then
                ring(P, args[i])
            end
        end
    end
    if stop and #runs == 0 then
        wait = 100 -- what waits for this worker to be idle has no bell: ask again soon
    end
    if #runs > 0 then
        redis.call('HSET', worker_key(P, worker), 'seq', seq, 'taken', table.concat(taken, ' '))
    end
    return {t, wait, runs}
end

redis.register_function{function_name = 'taglane_fetch', callback = fetch, flags = {'allow-oom'}}
