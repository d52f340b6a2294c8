-- The prelude's part for jobs: which of a job's runs wait for one another, and what goes on when the one that they wait
-- for has ended. Stands between prelude.lua and prelude_runs.lua, whose end_run comes through here.
--
-- A job's `last` is the run for which its fires and its fixed delay wait. What waits is in the list parked:<job>, in
-- order. The names of jobs that wait for an end are in the set waiting, which may hold others too: look corrects it.

local MOST_PARKED = 1000 -- runs that wait for a job's last one
local FEW_DEAD = 16 -- entries without a run that are dropped at once where a run ends or a job fires
local KEEP_SKIPPED = 1000 -- skipped runs kept a tenant: they must not push what was executed out of the history

-- Whether a run is there and has not ended.
local function goes(P, id)
    local state = id and redis.call('HGET', run_key(P, id), 'state')
    return state and not ENDED[state]
end

-- Let a run wait for the end of its job's last one, behind those that do so already.
local function park(P, name, id)
    redis.call('RPUSH', parked_key(P, name), id)
    redis.call('SADD', waiting_key(P), name)
end

-- False for a run that has ended or is gone: it has stood in the list of the parked for nothing.
local function queue_parked(P, t, name, id)
    local key = run_key(P, id)
    local f = redis.call('HMGET', key, 'state', 'tag', 'step', 'due')
    if f[1] ~= 'scheduled' then
        return false
    end
    redis.call('HDEL', key, 'parked')
    redis.call('HSET', key, 'state', 'queued', 'queued_at', int(t))
    redis.call('HSET', job_key(P, name), 'last', id, 'last_due', f[4] or '')
    push(P, id, f[2], f[3])
    return true
end

-- Queue the next of a job's parked runs: it is the last one now, for which all others wait. False when there is none.
-- It drops what stands there for nothing, `most` of it: behind that the sweep of look goes on, as if there were a next.
-- Returns also how many it has looked at.
local function let_next_go(P, t, name, most)
    most = most or FEW_DEAD
    for looked = 1, most do
        local id = redis.call('LPOP', parked_key(P, name))
        if not id then
            return false, looked
        end
        if try(P, id, queue_parked, P, t, name, id) then
            return true, looked
        end
    end
    redis.call('SADD', waiting_key(P), name)
    return true, most
end

-- Begin a job's fixed delay, which is counted in whole seconds. Returns when the job is due.
local function begin_delay(P, t, name, after)
    local due = math.floor(t / 1000) * 1000 + tonumber(after)
    redis.call('ZADD', due_key(P), 'NX', int(due), name)
    redis.call('SREM', waiting_key(P), name)
    redis.call('PUBLISH', wake_channel(P), int(due))
    return due
end

-- Keep a job's runs to be found by its name: the last ones. Of a job that is gone none is kept; `lives` says that it is
-- known not to be.
local function note_made(P, name, id, lives)
    local last = last_key(P, name)
    local count = redis.call('RPUSH', last, id)
    if count > KEEP_LAST then
        redis.call('LPOP', last)
    elseif count == 1 and not lives and redis.call('EXISTS', job_key(P, name)) == 0 then
        redis.call('DEL', last)
    end
end

-- Count how many of a job's runs were unwell in a row. A cancel says nothing of that; what ended well is told only where
-- there is a streak to end.
local function count_streak(P, t, name, state)
    if state == 'succeeded' then
        redis.call('HDEL', job_key(P, name), 'streak', 'unwell_at')
        redis.call('ZREM', failing_key(P), name)
    elseif (state == 'failed' or state == 'dead' or state == 'expired')
        and redis.call('HGET', job_key(P, name), 'revision') then
        local streak = redis.call('HINCRBY', job_key(P, name), 'streak', 1)
        redis.call('HSET', job_key(P, name), 'unwell_at', int(t))
        if streak >= FAILING then
            redis.call('ZADD', failing_key(P), int(streak), name)
        end
    end
end

-- A run of a job has ended. When all others waited for it, the next of them goes, or else the fixed delay begins.
local function go_on(P, t, run, state)
    if not run.holder and redis.call('HDEL', run_key(P, run.id), 'parked') == 1
        and redis.call('LLEN', parked_key(P, run.job)) <= MOST_PARKED then -- a longer one is not ours, and slow
        redis.call('LREM', parked_key(P, run.job), 1, run.id)
    end
    local job = redis.call('HMGET', job_key(P, run.job), 'after', 'paused', 'last', 'streak')
    if job[4] or state ~= 'succeeded' then
        try(P, nil, count_streak, P, t, run.job, state)
    end
    if job[3] ~= run.id or let_next_go(P, t, run.job) then
        return
    end
    if job[1] and not job[2] then
        begin_delay(P, t, run.job, job[1])
    end
end
