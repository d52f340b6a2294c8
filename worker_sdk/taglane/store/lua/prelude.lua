-- The prelude of the library: what its functions share, since functions can't call one another.
--
-- P is KEYS[1] of every function, the tenant's prefix `taglane:{tenant}:`. Every key is built from it here, and
-- spelled the same in keys.py (a test compares them). Times are the server's, in ms.

local STEPS = {'0', '3', '6', '9'}
local ENDED = {succeeded = true, failed = true, cancelled = true, expired = true, dead = true, skipped = true}
local KEEP_RUNS = 100000 -- ended runs kept a tenant, at most
local KEEP_MS = 86400000 -- and for a day, as Celery keeps results
local KEEP_DEAD = 10000 -- dead letters kept a tenant, at most
local KEEP_DEAD_MS = 2592000000 -- and for thirty days
local ALONE_AFTER = 2 -- a run that was rescued this often is fetched alone
local TOKENS = 4 -- on a bell at most
local ONES = {'1', '1', '1', '1'} -- so many of them
local MOST_RUNG = 8 -- tags that are rung when a slot is free
local MOST = 1000 -- runs that one call takes, drops or moves: for that long the server serves nobody else
local MOST_ASIDE = 1000 -- ids kept of what could not be read
local MOST_TRIES = 20 -- attempts kept of a run, the last ones
local LONGEST_TRIES = 65536 -- and bytes of them
local KEEP_LEDGER = 35 * 86400 -- s for which the counts of a tenant's day are kept
local KEEP_JOB_LEDGER = 8 * 86400 -- and those of its jobs
local MOST_BOOKED = 20000 -- fields of the latter; what comes then is booked for all other jobs together
local KEEP_RECENT = 3 * 3600 -- and what ended in each minute of an hour
local KEEP_LAST = 100 -- runs of one job that are found by its name
local FAILING = 3 -- a job whose last so many runs were unwell is said to be failing
local POOL_MS = 3600000 -- for that long a tenant remembers a pool's worker after its last word
local FAR = 9007199254740991 -- 2^53 - 1: a later instant is never

local function run_key(P, id) return P .. 'run:' .. id end
local function log_key(P, id) return P .. 'log:' .. id end
local function logs_key(P) return P .. 'logs' end
local function logged_key(P) return P .. 'logged' end
local function queue_key(P, tag, step) return P .. 'queue:' .. tag .. ':' .. step end
local function delayed_key(P, tag) return P .. 'delayed:' .. tag end
local function bell_key(P, tag) return P .. 'bell:' .. tag end
local function leases_key(P) return P .. 'leases' end
local function held_key(P, worker) return P .. 'held:' .. worker end
local function workers_key(P) return P .. 'workers' end
local function worker_key(P, worker) return P .. 'worker:' .. worker end
local function cancels_key(P, worker) return P .. 'cancels:' .. worker end
local function jobs_key(P) return P .. 'jobs' end
local function job_key(P, name) return P .. 'job:' .. name end
local function parked_key(P, name) return P .. 'parked:' .. name end
local function waiting_key(P) return P .. 'waiting' end
local function removed_key(P, name) return P .. 'removed:' .. name end
local function skipped_key(P) return P .. 'skipped' end
local function due_key(P) return P .. 'due' end
local function expiring_key(P) return P .. 'expiring' end
local function runs_key(P) return P .. 'runs' end
local function ended_key(P) return P .. 'ended' end
local function unwell_key(P) return P .. 'unwell' end
local function last_key(P, name) return P .. 'last:' .. name end
local function failing_key(P) return P .. 'failing' end
local function dead_key(P) return P .. 'dead' end
local function aside_key(P) return P .. 'aside' end
local function tags_key(P) return P .. 'tags' end
local function idempotency_key(P, key) return P .. 'key:' .. key end
local function chord_key(P, group) return P .. 'chord:' .. group end
local function ledger_key(P, day) return P .. 'ledger:' .. day end
local function job_ledger_key(P, day) return P .. 'job-ledger:' .. day end
local function recent_key(P, hour) return P .. 'recent:' .. hour end
local function capped_key(P) return P .. 'capped' end
local function pace_key(P) return P .. 'pace' end
local function pacer_key(P) return P .. 'pacer' end
local function fires_key(P) return P .. 'fires' end
local function limits_key(P) return 'taglane-ro:' .. string.sub(P, 9) .. 'limits' end
local function done_channel(P, id) return P .. 'done:' .. id end
local function wake_channel(P) return P .. 'wake' end
local function pool_channel(P) return P .. 'pool' end

-- Whether a tag is a shared pool's: any tenant's run may ask for it, and the operator's workers serve it.
local function is_shared(tag) return string.sub(tag, 1, 7) == 'shared.' end

-- The keys of a pool, which is no tenant's: Q is KEYS[1] of the functions in pool.lua, `taglane:pool:{name}:`.
local function pool_active_key(Q) return Q .. 'active' end
local function pool_owed_key(Q) return Q .. 'owed' end
local function pool_full_key(Q) return Q .. 'full' end
local function pool_parked_key(Q) return Q .. 'parked' end
local function pool_resting_key(Q) return Q .. 'resting' end
local function pool_floor_key(Q) return Q .. 'floor' end
local function pool_wakes_key(Q) return Q .. 'wakes' end
local function pool_seq_key(Q) return Q .. 'seq' end
local function pool_terms_key(Q) return Q .. 'terms' end
local function pool_used_key(Q) return Q .. 'used' end
local function pool_cost_key(Q) return Q .. 'cost' end
local function pool_workers_key(Q) return Q .. 'workers' end
local function pool_pacer_key(Q) return Q .. 'pacer' end
local function pool_bell_key(Q) return Q .. 'bell' end
local function pool_lost_key(Q) return Q .. 'lost' end
local function pool_visits_key(Q, visitor) return Q .. 'visits:' .. visitor end
local function pool_worker_key(Q, worker) return Q .. 'worker:' .. worker end

local function int(number) return string.format('%d', number) end

local asked_at = nil -- the time that it was when somebody last asked

local function now()
    local time = redis.call('TIME')
    asked_at = time[1] * 1000 + math.floor(time[2] / 1000)
    return asked_at
end

-- Keep the id of what can't be read or served, for the tenant to look at: the oldest ones.
local function lay_aside(P, id)
    local aside = aside_key(P)
    if redis.call('LLEN', aside) < MOST_ASIDE then
        redis.call('RPUSH', aside, id)
    end
end

-- The run of an id is gone: keep the id for the tenant to look at, and count it no more.
local function lose(P, id)
    lay_aside(P, id)
    redis.call('ZREM', runs_key(P), id)
    redis.call('ZREM', ended_key(P), id)
    redis.call('ZREM', unwell_key(P), id)
    redis.call('ZREM', dead_key(P), id)
end

-- Do a step for one of many, and return what it does. When a key of that one holds something else than ours, the
-- answer is nil, and its `id`, if given, is laid aside: so that a call for many is not lost, and said again for ever,
-- because of one. What the caller has no right to is raised all the same.
local function try(P, id, step, ...)
    local done, answer, more = pcall(step, ...)
    if done then
        return answer, more
    end
    local text = tostring(type(answer) == 'table' and answer.err or answer)
    if string.find(text, 'NOPERM', 1, true) or string.find(text, 'ACL failure', 1, true) then
        error(answer, 0)
    end
    if id then
        pcall(lay_aside, P, id)
    end
    return nil
end

-- Wake one idle worker of a tag, or one for each of `count` runs. A few tokens are enough: whoever is woken takes a batch
-- and rings on. A pool's workers wait elsewhere: the first token says once to who keeps the pools that this tenant has work
-- for one; the fetch that finds the queue empty takes it away.
local function ring(P, tag, count)
    local bell = bell_key(P, tag)
    local tokens = redis.call('LLEN', bell)
    if is_shared(tag) then
        if tokens == 0 then
            redis.call('RPUSH', bell, '1')
            redis.call('PUBLISH', pool_channel(P), tag)
        end
    elseif tokens < TOKENS then
        redis.call('RPUSH', bell, unpack(ONES, 1, math.min(count or 1, TOKENS - tokens)))
    end
end

-- A worker holds so many runs less: wake who found the tenant at its limit of these. A tag is rung once, and again when one
-- of its workers has come in vain: so those whose workers have gone don't take the others' turns.
local function free_slots(P, count)
    while count > 0 do
        count = count - 1
        local rung = false
        for _, tag in ipairs(redis.call('SRANDMEMBER', capped_key(P), MOST_RUNG)) do
            if is_shared(tag) then
                redis.call('PUBLISH', pool_channel(P), tag)
            else
                redis.call('SREM', capped_key(P), tag)
                ring(P, tag)
                rung = true
            end
        end
        count = rung and count or 0 -- there is nobody left
    end
end

-- Put a run at the tail of its queue, or at the head when it was there before.
local function push(P, id, tag, step, head)
    local length = redis.call(head and 'LPUSH' or 'RPUSH', queue_key(P, tag, step), id)
    if length == 1 then
        redis.call('SADD', tags_key(P), tag)
    end
    ring(P, tag)
end

-- Let a run wait until `at`; wakes a worker and the schedulers when it is now the first of its tag.
local function delay(P, id, tag, at)
    local delayed = delayed_key(P, tag)
    redis.call('ZADD', delayed, int(at), id)
    if redis.call('ZRANGE', delayed, 0, 0)[1] == id then
        redis.call('SADD', tags_key(P), tag)
        if not is_shared(tag) then -- a pool's runs are queued by the schedulers, at that instant
            ring(P, tag)
        end
        redis.call('PUBLISH', wake_channel(P), int(at))
    end
end
