-- rescue: take over what a dead worker held. died: what a living worker held and its child process died in.
--
-- The claim is the worker's heartbeat counter as the caller saw it stand still: if it has moved since, the worker lives
-- and nothing happens. A run that is known to have started, or was served alone, has a death counted; past the limit,
-- or at once when its task asked for it (acks_late=False), it becomes a dead letter. All others wait at the head again,
-- but those end that somebody has asked to cancel. A worker that holds more than one call may move stays dead, so the
-- next call moves on.
--
-- Each such attempt stays on the run's record: a worker tells that a run has started a quarter of a second after, so one
-- that died before that may have executed it.
--
-- KEYS  1 the tenant's prefix
-- ARGV  rescue: 1 worker  2 its counter as seen  3 '1' for a life of a pool's worker that was claimed already (pool_lost):
--       a fetch of it that is still under way must lease nothing any more; died: 1 id  2 token  3 '1' when one death is its last
-- Writes run, runs, leases, held, queue, dead, worker, workers, cancels, expiring, aside, ledger, job-ledger; rings
-- tags. Returns {runs queued again, dead letters}.

local MAX_DEATHS = 3 -- workers that may die in a run before we give it up

-- An attempt that ended with its worker ran until that was last heard of; one that its child took along, until now.
local function book_death(P, t, run, began, child)
    local ended = child and t or tonumber(redis.call('HGET', worker_key(P, run.holder), 'seen'))
    if began and ended then
        book_attempt(run, began, ended - began)
    end
end

local function take_over(P, t, run, child)
    local key = run_key(P, run.id)
    local f = redis.call('HMGET', key, 'started', 'rescues', 'last', 'deaths', 'started_at')
    local deaths, who = tonumber(f[4] or '0'), child and 'its child process died' or 'its worker died'
    local counts = child or f[1] or tonumber(f[2] or '0') >= ALONE_AFTER
    if counts then
        deaths = redis.call('HINCRBY', key, 'deaths', 1)
        book(run.job, 'died')
    end
    book_death(P, t, run, tonumber(f[5]), child)
    note_try(P, t, run, 'died', (child or f[1]) and who or who .. ', and had perhaps not started it')
    redis.call('HINCRBY', key, 'rescues', 1)
    release(P, run, counts)
    if not run.cancel and (f[3] or deaths >= MAX_DEATHS) then
        end_run(P, t, run, 'dead', {'error',
            (child and who or 'its worker ' .. run.holder .. ' died') .. '; deaths: ' .. deaths})
        return 0, 1
    end
    return wait_again(P, t, run, nil, 'cancelled as ' .. who) and 1 or 0, 0
end

-- Answers nil for an entry without a run.
local function rescue_one(P, t, worker, id)
    local run = load_run(P, id)
    if not run then
        return nil
    end
    if run.holder ~= worker or ENDED[run.state] then
        return false
    end
    return take_over(P, t, run, false)
end

local function rescue(keys, args)
    local P, t, worker = keys[1], now(), args[1]
    local beat = redis.call('HGET', worker_key(P, worker), 'beat')
    if beat and beat ~= args[2] then
        return {0, 0}
    end
    local queued, dead = 0, 0
    local held = redis.call('SRANDMEMBER', held_key(P, worker), MOST + 1)
    for i = 1, math.min(#held, MOST) do
        local again, lost = try(P, held[i], rescue_one, P, t, worker, held[i])
        if again then
            queued, dead = queued + again, dead + lost
        else
            forget_lease(P, worker, held[i], again == nil)
        end
    end
    if #held <= MOST then
        redis.call('DEL', held_key(P, worker), worker_key(P, worker), cancels_key(P, worker))
        redis.call('SREM', workers_key(P), worker)
    end
    if args[3] == '1' then
        redis.call('HSET', worker_key(P, worker), 'lost', '1')
        redis.call('PEXPIRE', worker_key(P, worker), POOL_MS)
    end
    return {queued, dead}
end

local function died(keys, args)
    local P, t = keys[1], now()
    local run = load_run(P, args[1])
    if not run or ENDED[run.state] or run.token ~= args[2] then
        return {0, 0}
    end
    if args[3] == '1' then
        redis.call('HSET', run_key(P, run.id), 'last', '1')
    end
    return {take_over(P, t, run, true)}
end

redis.register_function{function_name = 'taglane_rescue', callback = booking(rescue), flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_died', callback = booking(died), flags = {'allow-oom'}}
