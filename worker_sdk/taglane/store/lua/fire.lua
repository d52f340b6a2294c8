-- fire: turn due instants of jobs into runs. trigger: make a run of a job now, whatever its schedule says.
--
-- Every scheduler may call fire for the same job; there is no leader. What the caller saw, the due time and the job's
-- revision, is its claim: who still finds both unchanged wins, and all others get 0. A job whose last run still goes
-- is skipped, on record, unless it allows overlap.
--
-- KEYS  1 the tenant's prefix
-- ARGV  fire, five a job: 1 job  2 due seen, ms  3 revision seen  4 next due, ms, '' for none  5 run id, '' to move
--       the due and make no run
--       trigger: 1 job  2 run id  3 envelope, '' for the job's own
-- Writes due, run, runs, queue, expiring, ended, job, ledger; rings the tag.
-- Returns 1 fired, 2 skipped, 3 moved, 0 lost a job (fire); 1 or 0 (trigger). When a job's keys hold something else
-- than ours, fire raises, but not before it has served the others.
local function goes(P, id)
    local state = id and redis.call('HGET', run_key(P, id), 'state')
    return state and not ENDED[state]
end

-- `beside` says that the run goes beside the job's own: an earlier one that still goes stays the one to wait for.
local function start(P, t, name, job, id, due, envelope, beside)
    local extra = {'due', int(due)}
    local expires = job.expires and t + tonumber(job.expires)
    admit(P, t, {id = id, task = job.task, tag = job.tag, step = job.step, envelope = envelope, job = name,
        expires = expires, extra = extra})
    if not (beside and goes(P, job.last)) then
        redis.call('HSET', job_key(P, name), 'last', id, 'last_due', int(due))
    end
end

local function load_job(P, name)
    local f = redis.call('HMGET', job_key(P, name), 'revision', 'paused', 'task', 'tag', 'step', 'envelope', 'overlap',
        'last', 'expires')
    return f[1] and {revision = f[1], paused = f[2], task = f[3], tag = f[4], step = f[5], envelope = f[6],
        overlap = f[7], last = f[8], expires = f[9] or nil}
end

local function skip(P, t, name, job, id, due)
    redis.call('HSET', run_key(P, id), 'state', 'skipped', 'task', job.task, 'tag', job.tag, 'step', job.step,
        'job', name, 'due', int(due), 'queued_at', int(t), 'finished_at', int(t),
        'error', 'run ' .. job.last .. ' still goes')
    redis.call('ZADD', runs_key(P), int(t), id)
    redis.call('ZADD', ended_key(P), int(t), id)
end

local function fire_one(P, t, name, due, revision, next_due, id, tally)
    local job = load_job(P, name)
    if not job or job.paused or job.revision ~= revision or tonumber(due) > t
        or redis.call('ZSCORE', due_key(P), name) ~= due then
        return 0
    end
    if next_due == '' then
        redis.call('ZREM', due_key(P), name)
    else
        redis.call('ZADD', due_key(P), next_due, name)
    end
    if id == '' then
        return 3
    end
    if redis.call('EXISTS', run_key(P, id)) == 1 then
        return 0
    end
    if job.overlap ~= 'allow' and goes(P, job.last) then
        skip(P, t, name, job, id, tonumber(due))
        tell(tally, name, 'skipped')
        return 2
    end
    start(P, t, name, job, id, tonumber(due), job.envelope)
    tell(tally, name, 'fired')
    return 1
end

local function fire(keys, args)
    local P, t, answer, tally, failed = keys[1], now(), {}, {}, nil
    for i = 1, #args, 5 do
        local done, what = pcall(fire_one, P, t, args[i], args[i + 1], args[i + 2], args[i + 3], args[i + 4], tally)
        failed = failed or not done and what
        answer[#answer + 1] = done and what or 0
    end
    enter(P, t, tally)
    if failed then
        error(failed, 0)
    end
    return answer
end

local function trigger(keys, args)
    local P, t, tally = keys[1], now(), {}
    local job = load_job(P, args[1])
    if not job then
        return 0
    end
    if redis.call('EXISTS', run_key(P, args[2])) == 1 then
        return 1 -- asked again
    end
    start(P, t, args[1], job, args[2], t, args[3] ~= '' and args[3] or job.envelope, true)
    tell(tally, args[1], 'triggered')
    enter(P, t, tally)
    return 1
end

redis.register_function('taglane_fire', fire)
redis.register_function('taglane_trigger', trigger)
