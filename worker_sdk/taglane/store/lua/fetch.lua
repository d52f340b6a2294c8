-- fetch: lease waiting runs to a worker.
--
-- Takes from the head of the queues, the urgent step first. Each call carries the worker's next sequence number: asked
-- again with the same one, because the reply was lost, it gives the same runs again, and a late one gives none, so none
-- is held by a worker that does not know of it. What was cancelled, expired or is leased already is dropped here, a
-- bounded number a call; an entry without a readable run is laid aside.
-- A run that was rescued twice is served alone, to a worker that holds nothing, so that it takes no neighbours along.
--
-- A tenant's limits are held here: what all its workers hold together is never more than `running`, and no more begin
-- than `rate` lets pass. Near a limit a worker gets no more than it can start at once, so that no run waits behind another
-- while a worker is idle; one that can start none is told so, and leaves the bell to others. A tag that the limit keeps
-- waiting is rung when a run is let go (capped), or waits for the instant in one worker alone (pacer). A paused tenant's
-- runs wait for govern to ring.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 worker  2 sequence number  3 how many at most; behind a space how many it can start at once, if not that many
--       4 '1' when the worker holds nothing, else '0' or ''; behind a space the pool whose worker it is, if it is one's  5.. tags
-- Reads limits; writes run, runs, leases, held, queue, delayed, bell, worker, aside, ledger, job-ledger, capped, pace, pacer;
-- rings a tag that has more.
-- Returns 0 for a worker that is unknown or was given up, else {server's time, ms until there may be more (-1: not known), runs, why there are
-- no more of them: '' (nothing waits), 'more', 'alone', 'slots', 'paused', 'running', 'rate', or
-- 'drain': it is to take no more, and to end}, a run being {id, token,
-- envelope, attempts, tag, job, due, rescues, ended, of, task}.
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

-- Lease the run that stands at the head of a queue, or drop it, or leave it for a worker that can take it `alone`; the
-- caller enters the lease. Returns 'drop', 'later', or 'take' or 'alone' and the run.
local function serve(P, t, worker, id, alone)
    local key = run_key(P, id)
    local f = redis.call('HMGET', key, 'state', 'rescues', 'expires', 'token', 'attempts', 'envelope', 'tag', 'job',
        'due', 'ended', 'of', 'task')
    if not f[1] then
        lose(P, id)
        return 'drop'
    end
    if f[1] ~= 'queued' then
        return 'drop'
    end
    if f[3] and tonumber(f[3]) <= t then
        end_run(P, t, load_run(P, id), 'expired', {})
        return 'drop'
    end
    local rescued = tonumber(f[2] or '0') >= ALONE_AFTER
    if rescued and not alone then
        return 'later'
    end
    local token, attempts = int((f[4] or 0) + 1), int((f[5] or 0) + 1)
    redis.call('HSET', key, 'token', token, 'attempts', attempts, 'holder', worker)
    return rescued and 'alone' or 'take', {id, token, f[6] or '', attempts, f[7] or '', f[8] or '', f[9] or '',
        f[2] or '0', f[10] or '', f[11] or '', f[12] or ''}
end

-- What the limits leave of `most` runs for a worker that can start `slots` at once: {most, why that is not more, wait: in
-- how many ms it may be, free: how many all workers together may have, rate, burst, capped: whether there is a limit of these}.
local function allowed(P, t, most, slots)
    local f = redis.call('HMGET', limits_key(P), 'state', 'running', 'rate', 'burst')
    if f[1] == 'paused' then
        return {most = 0, why = 'paused', wait = -1, free = 0}
    end
    local running, rate, burst = tonumber(f[2] or ''), tonumber(f[3] or ''), tonumber(f[4] or '')
    if not running and not rate then
        return {most = most, why = 'more', wait = -1, free = FAR}
    end
    local free, why, wait = FAR, 'more', -1
    if running then
        free, why = running - redis.call('ZCARD', leases_key(P)), 'running'
    end
    if rate then
        local count, next_in = may_pass(pace_key(P), t, rate, burst)
        if count < free then
            free, why, wait = count, 'rate', next_in
        end
    end
    local few = math.max(0, math.min(free, math.max(slots, math.floor(free / 8))))
    if few == 0 and free > 0 then
        why = 'slots'
    elseif few >= most or few < free then
        why = 'more' -- for others, if not for this one
    end
    return {most = math.min(most, few), why = why, wait = wait, free = free, rate = rate, burst = burst,
        capped = running}
end

local function is_empty(P, tag)
    return redis.call('EXISTS', queue_key(P, tag, STEPS[1]), queue_key(P, tag, STEPS[2]), queue_key(P, tag, STEPS[3]),
        queue_key(P, tag, STEPS[4])) == 0
end

-- Nothing waits for a tag any more, so nobody has to be told of it until there is something again.
local function forget_tag(P, tag, pool, limits)
    if limits.capped then
        redis.call('SREM', capped_key(P), tag)
    end
    if pool ~= '' then
        redis.call('DEL', bell_key(P, tag))
    end
end

-- A tag has more than the `took` runs that this worker gets now: see to it that somebody comes. Returns in how many ms
-- that is to be this worker; nil when it is told by a bell.
local function pass_on(P, worker, tag, pool, limits, took)
    local why = limits.why
    if why == 'running' and limits.free <= took then
        redis.call('SADD', capped_key(P), tag)
    elseif pool ~= '' or why == 'paused' or why == 'alone' then
        return nil
    elseif why == 'rate' and took == 0 then
        local paces = redis.call('SET', pacer_key(P), worker, 'PX', int(limits.wait), 'NX')
            or redis.call('GET', pacer_key(P)) == worker -- a bell has woken it before its time
        return paces and limits.wait or nil
    else
        ring(P, tag)
    end
    return nil
end

-- What was fetched before, when this is asked again; nil for a new call.
local function recall(P, seq, known)
    if known[2] and tonumber(seq) <= tonumber(known[2]) then
        return known[2] == seq and again(P, known[3]) or {}
    end
    return nil
end

-- Remember a call, for who asks again. A pool's worker, whose heart beats elsewhere, enters the tenant with its first run.
local function remember(P, worker, seq, taken, pool)
    if pool == '' then
        redis.call('HSET', worker_key(P, worker), 'seq', seq, 'taken', table.concat(taken, ' '))
    elseif #taken > 0 then
        redis.call('HSET', worker_key(P, worker), 'seq', seq, 'taken', table.concat(taken, ' '), 'pool', pool)
        redis.call('PEXPIRE', worker_key(P, worker), POOL_MS)
    end
end

-- Since when each of these runs is leased: false where none is.
local function since_of(P, ids) return redis.call('ZMSCORE', leases_key(P), unpack(ids)) end

local function enter_leases(P, t, worker, ids)
    local leases, at = {}, int(t)
    for i, id in ipairs(ids) do
        leases[2 * i - 1], leases[2 * i] = at, id
    end
    redis.call('SADD', held_key(P, worker), unpack(ids))
    redis.call('ZADD', leases_key(P), unpack(leases))
    return true
end

-- Lease the runs at the head of a queue, `ids`; `idle` says that the worker holds nothing. Returns them, with how many of
-- the ids are done with, and whether it ends there since one is to be served alone.
local function serve_some(P, t, worker, ids, idle)
    local since = try(P, nil, since_of, P, ids)
    local runs, entered, done, stop = {}, {}, 0, false
    for i, id in ipairs(since and ids or {}) do
        local verdict, run = 'drop', nil
        if not since[i] and not entered[id] then
            verdict, run = try(P, id, serve, P, t, worker, id, idle and #runs == 0)
        end
        stop = verdict == 'later' or verdict == 'alone'
        if run then
            runs[#runs + 1], entered[#runs + 1], entered[id] = run, id, true
        end
        if verdict ~= 'later' then
            done = i
        end
        if stop then
            break
        end
    end
    if since and (#runs == 0 or try(P, nil, enter_leases, P, t, worker, entered)) then
        return runs, done, stop
    end
    for _, id in ipairs(since and entered or ids) do
        lay_aside(P, id)
    end
    return {}, since and done or #ids, stop
end

-- Take `most` runs from the queues of these tags, the urgent ones first. Returns them, what to remember of them, whether
-- one stopped it that is to be served alone, and how many more ids it might have looked at.
local function take(P, t, worker, args, most, idle)
    local runs, taken, stop = {}, {}, false
    local left = most > 0 and most + MOST or 0 -- some of what it looks at may be dropped
    for _, step in ipairs(STEPS) do
        for i = 5, #args do
            local queue = queue_key(P, args[i], step)
            while #runs < most and not stop and left > 0 do
                local ids = redis.call('LRANGE', queue, 0, math.min(left, most - #runs) - 1)
                if not ids[1] then
                    break
                end
                local some, done
                some, done, stop = serve_some(P, t, worker, ids, idle and #runs == 0)
                for _, run in ipairs(some) do
                    runs[#runs + 1], taken[#taken + 1] = run, run[1] .. ' ' .. run[2]
                end
                if done > 0 then -- they leave their queue when they are leased: never are they in neither place
                    redis.call('LPOP', queue, done)
                end
                left = left - done
            end
        end
    end
    return runs, taken, stop, left
end

local function fetch(keys, args)
    local P, t, worker, seq = keys[1], now(), args[1], args[2]
    local most, slots = string.match(args[3], '^(%d+) ?(%d*)$')
    local idle, pool = string.match(args[4], '^(%S*) ?(%S*)$')
    most = math.min(tonumber(most), MOST)
    local known = redis.call('HMGET', worker_key(P, worker), 'beat', 'seq', 'taken', 'lost', 'drain')
    if not known[1] and pool == '' or known[4] then
        return 0
    end
    local wait = -1
    local function within(next_in)
        if next_in and (wait < 0 or next_in < wait) then
            wait = next_in
        end
    end
    for i = 5, #args do
        promote(P, t, args[i], 256)
        within(next_delayed(P, t, args[i]))
    end
    local before = recall(P, seq, known)
    if before then
        return {t, wait, before, #before > 0 and 'more' or ''}
    end
    if known[5] then -- what has woken it was meant for others
        for i = 5, #args do
            if not is_empty(P, args[i]) then
                ring(P, args[i])
            end
        end
        return {t, wait, {}, 'drain'}
    end
    local limits = allowed(P, t, most, tonumber(slots) or most)
    local runs, taken, stop, left = take(P, t, worker, args, limits.most, idle == '1')
    if limits.rate then
        pass(pace_key(P), t, limits.rate, #runs, limits.burst)
    end
    if stop then
        limits.why = #runs == 0 and 'alone' or 'more'
    end
    local has_more = false
    local exhausted = #runs < limits.most and not stop and left > 0
    for i = 5, #args do
        if exhausted or is_empty(P, args[i]) then
            forget_tag(P, args[i], pool, limits)
        else
            has_more = true
            within(pass_on(P, worker, args[i], pool, limits, #runs))
        end
    end
    if limits.why == 'alone' then
        wait = 100 -- what waits for this worker to be idle has no bell: ask again soon
    elseif #runs < limits.most and left == 0 then
        wait = 0 -- there may be more behind what was dropped
    elseif limits.why == 'rate' and pool ~= '' then
        wait = limits.wait -- the pool comes back then
    end
    if has_more and (limits.why == 'running' or limits.why == 'rate') then
        book(nil, 'hit:' .. limits.why)
    end
    remember(P, worker, seq, taken, pool)
    return {t, wait, runs, (has_more or limits.why == 'paused') and limits.why or ''}
end

redis.register_function{function_name = 'taglane_fetch', callback = booking(fetch), flags = {'allow-oom'}}
