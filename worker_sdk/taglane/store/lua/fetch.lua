-- fetch: lease waiting runs to a worker.
--
-- Takes from the head of the queues, the urgent step first. Each call carries the worker's next sequence number: asked
-- again with the same one, because the reply was lost, it gives the same runs again, and a late one gives none, so none
-- is held by a worker that does not know of it. What was cancelled, expired or is leased already is dropped here, a
-- bounded number a call; an entry without a readable run is laid aside.
-- A run that was rescued twice is served alone, to a worker that holds nothing, so that it takes no neighbours along.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 worker  2 sequence number  3 how many at most  4 '1' when the worker holds nothing  5.. tags
-- Writes run, leases, held, queue, delayed, worker, aside, ledger, job-ledger; rings a tag that has more.
-- Returns 0 for an unknown worker, else {server's time, ms until a delayed run is due (-1: none), runs}, a run being
-- {id, token, envelope, attempts, tag, job, due, rescues, ended, of, task}.
local function entry(P, id, token)
    local f = redis.call('HMGET', run_key(P, id), 'envelope', 'attempts', 'tag', 'job', 'due', 'rescues',
        'ended', 'of', 'task')
    return {id, int(token), f[1] or '', f[2] or '1', f[3] or '', f[4] or '', f[5] or '', f[6] or '0', f[7] or '',
        f[8] or '', f[9] or ''}
end

local function still(P, id, token)
    local f = redis.call('HMGET', run_key(P, id), 'token', 'state')
    return f[1] == token and not ENDED[f[2]] and entry(P, id, tonumber(token))
end

local function again(P, taken)
    local runs, asked = {}, 0
    for id, token in string.gmatch(taken or '', '(%S+) (%d+)') do
        runs[#runs + 1] = try(P, nil, still, P, id, token) or nil
        asked = asked + 1
        if asked >= MOST then
            break
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

-- Lease the run that was at the head of a queue, or drop it, or leave it for a worker that can take it `alone`.
-- Returns 'drop', 'later', or 'take' or 'alone' and the run.
local function serve(P, t, worker, id, alone)
    local f = redis.call('HMGET', run_key(P, id), 'state', 'rescues', 'expires')
    if not f[1] then
        lay_aside(P, id)
        return 'drop'
    end
    if f[1] ~= 'queued' or redis.call('ZSCORE', leases_key(P), id) then
        return 'drop'
    end
    if f[3] and tonumber(f[3]) <= t then
        end_run(P, t, load_run(P, id), 'expired', {})
        return 'drop'
    end
    if tonumber(f[2] or '0') < ALONE_AFTER then
        return 'take', lease(P, t, worker, id)
    end
    if not alone then
        return 'later'
    end
    return 'alone', lease(P, t, worker, id)
end

local function fetch(keys, args)
    local P, t, worker, seq, idle = keys[1], now(), args[1], args[2], args[4] == '1'
    local most = math.min(tonumber(args[3]), MOST)
    local known = redis.call('HMGET', worker_key(P, worker), 'beat', 'seq', 'taken')
    if not known[1] then
        return 0
    end
    local runs, taken, wait, stop = {}, {}, -1, false
    for i = 5, #args do
        promote(P, t, args[i], 256)
        local next_in = next_delayed(P, t, args[i])
        if next_in and (wait < 0 or next_in < wait) then
            wait = next_in
        end
    end
    if known[2] and tonumber(seq) <= tonumber(known[2]) then
        return {t, wait, known[2] == seq and again(P, known[3]) or {}}
    end
    local left = most + MOST -- ids to look at: some may be dropped
    for _, step in ipairs(STEPS) do
        for i = 5, #args do
            local queue = queue_key(P, args[i], step)
            while #runs < most and not stop and left > 0 do
                local id = redis.call('LPOP', queue)
                if not id then
                    break
                end
                left = left - 1
                local verdict, run = try(P, id, serve, P, t, worker, id, idle and #runs == 0)
                if verdict == 'later' then
                    redis.call('LPUSH', queue, id)
                    stop = true
                elseif run then
                    runs[#runs + 1], taken[#taken + 1] = run, id .. ' ' .. run[2]
                    stop = verdict == 'alone'
                end
            end
            if (left == 0 or #runs > 0 and (stop or #runs >= most)) and redis.call('LLEN', queue) > 0 then
                ring(P, args[i])
            end
        end
    end
    if stop and #runs == 0 then
        wait = 100 -- what waits for this worker to be idle has no bell: ask again soon
    end
    if left == 0 and #runs < most then
        wait = 0 -- there may be more behind what was dropped
    end
    redis.call('HSET', worker_key(P, worker), 'seq', seq, 'taken', table.concat(taken, ' '))
    return {t, wait, runs}
end

redis.register_function{function_name = 'taglane_fetch', callback = booking(fetch), flags = {'allow-oom'}}
