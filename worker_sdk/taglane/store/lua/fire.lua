-- fire: turn due instants of jobs into runs. trigger: make a run of a job now, whatever its schedule says.
--
-- Every scheduler may call fire for the same job; there is no leader. What the caller saw, the due time and the job's
-- revision, is its claim: who still finds both unchanged wins, and all others get 0. While a job's last run still goes,
-- its overlap says what a fire does: it is skipped, on record (skip); its run waits, parked, for the end of the last one
-- and of those parked before it (queue); it goes beside (allow); or it takes the place of them all (cancel_running):
-- then it is parked only for as long as the worker of the last one takes to stop it. A trigger goes beside.
--
-- KEYS  1 the tenant's prefix
-- ARGV  fire, five a job: 1 job  2 due seen, ms  3 revision seen  4 next due, ms, '' for none; behind a space, how many
--       instants before that are passed over  5 the run: '' to move the due and make none, else its id; 'id +ms' makes
--       one that may be served in so many ms, 'id ~ms' one that waits so long at most, 'id @tag' one that asks for that
--       tag instead, 'id ^context' one that is part of a trace (these may stand together, with spaces between); 'id !why'
--       one that ends as failed at once, 'id why' one that is skipped, each for that reason
--       trigger: 1 job  2 run id  3 envelope, '' for the job's own
-- Reads limits; writes due, fires, run, runs, queue, tags or delayed or parked, waiting, expiring, cancels, skipped, ended,
-- unwell, job, last, failing, ledger, job-ledger; publishes wake, rings the tag. Returns 1 fired, 2 skipped, 3 moved, 0 lost, 4 over a limit of the tenant, a job
-- (fire); 1, 0 or an error as of enqueue (trigger). When a job's keys hold something else than ours, fire raises, but not
-- before it has served the others.

-- Of `how`: `at` is when the run may be served; `parked` that it waits for the job's last one; `beside` that it goes
-- beside that: an earlier one that still goes stays the one to wait for.
local function start(P, t, name, job, id, due, envelope, how)
    local extra = {'due', int(due)}
    if how.parked then
        extra[3], extra[4] = 'parked', '1'
    end
    local expires = job.expires and t + tonumber(job.expires)
    admit(P, t, {id = id, task = job.task, tag = job.tag, step = job.step, envelope = envelope, job = name,
        lives = true, expires = expires, extra = extra, at = how.at, parked = how.parked})
    if not how.parked and not (how.beside and goes(P, job.last)) then
        redis.call('HSET', job_key(P, name), 'last', id, 'last_due', int(due))
    end
end

-- What a call for many jobs reads at once before it begins, and writes at once when it is through. Nobody can come in
-- between. `due` is when each job is due, as far as this call has come; `moved` names those for which that is to be
-- written. `fresh` says that none of the runs is there. The other lists are of runs that are queued.
local function survey(P, args)
    local names, runs = {}, {}
    for i = 1, #args, 5 do
        names[#names + 1] = args[i]
        if args[i + 4] ~= '' then
            runs[#runs + 1] = run_key(P, string.match(args[i + 4], '^%S+'))
        end
    end
    local dues, due = redis.call('ZMSCORE', due_key(P), unpack(names)), {}
    for i, name in ipairs(names) do
        due[name] = dues[i]
    end
    local fresh = not runs[1] or redis.call('EXISTS', unpack(runs)) == 0
    return {due = due, moved = {}, fresh = fresh, runs = {}, expiring = {}, queues = {}}
end

-- Make a run that waits in its queue: what admit does of one, of which the lists are entered for all at once.
local function make_queued(P, t, all, name, job, id, due)
    local fields = {'due', due, 'state', 'queued', 'task', job.task, 'tag', job.tag, 'step', job.step, 'queued_at',
        int(t), 'envelope', job.envelope, 'job', name}
    if job.expires then
        local expires = int(t + tonumber(job.expires))
        fields[17], fields[18] = 'expires', expires
        all.expiring[#all.expiring + 1] = expires
        all.expiring[#all.expiring + 1] = id
    end
    redis.call('HSET', run_key(P, id), unpack(fields))
    all.runs[#all.runs + 1] = int(t)
    all.runs[#all.runs + 1] = id
    try(P, nil, note_made, P, name, id, true)
    redis.call('HSET', job_key(P, name), 'last', id, 'last_due', due)
    local place = job.tag .. ' ' .. job.step
    local queue = all.queues[place]
    if not queue then
        queue = {tag = job.tag, step = job.step, runs = {}}
        all.queues[place] = queue
    end
    queue.runs[#queue.runs + 1] = id
    book(nil, 'made')
end

local function move_dues(P, all)
    local moved = {}
    for name in pairs(all.moved) do
        moved[#moved + 1], moved[#moved + 2] = all.due[name], name
    end
    if moved[1] then
        redis.call('ZADD', due_key(P), unpack(moved))
    end
end

local function enter_runs(P, all)
    if all.runs[1] then
        redis.call('ZADD', runs_key(P), unpack(all.runs))
    end
    if all.expiring[1] then
        local known, first = redis.call('ZRANGE', expiring_key(P), 0, 0, 'WITHSCORES')[2], FAR
        for i = 1, #all.expiring, 2 do
            first = math.min(first, tonumber(all.expiring[i]))
        end
        redis.call('ZADD', expiring_key(P), unpack(all.expiring))
        if not known or first < tonumber(known) then
            redis.call('PUBLISH', wake_channel(P), int(first))
        end
    end
end

local function push_all(P, queue)
    local length = redis.call('RPUSH', queue_key(P, queue.tag, queue.step), unpack(queue.runs))
    if length == #queue.runs then
        redis.call('SADD', tags_key(P), queue.tag)
    end
    ring(P, queue.tag, #queue.runs)
end

-- Enter all runs that were made so far where they wait. What goes wrong is kept; the rest is entered.
local function enter_all(P, all)
    local done, why = pcall(enter_runs, P, all)
    all.wrong = all.wrong or not done and why
    for _, queue in pairs(all.queues) do
        done, why = pcall(push_all, P, queue)
        all.wrong = all.wrong or not done and why
    end
    all.runs, all.expiring, all.queues = {}, {}, {}
end

-- Write what is left to write of a call for many. Returns what was wrong with it, if anything; the rest is written.
local function settle(P, all)
    enter_all(P, all)
    local done, why = pcall(move_dues, P, all)
    return not done and why or all.wrong
end

local function load_job(P, name)
    local f = redis.call('HMGET', job_key(P, name), 'revision', 'paused', 'task', 'tag', 'step', 'envelope', 'overlap',
        'last', 'expires', 'after')
    return f[1] and {revision = f[1], paused = f[2], task = f[3], tag = f[4], step = f[5] or STEPS[1], envelope = f[6],
        overlap = f[7], last = f[8], expires = f[9] or nil, after = f[10]}
end

-- Keep a fire that made nothing to execute, with its reason; no more of these than are bounded by themselves.
local function skip(P, t, name, job, id, due, why)
    redis.call('HSET', run_key(P, id), 'state', 'skipped', 'task', job.task, 'tag', job.tag, 'step', job.step,
        'job', name, 'due', int(due), 'queued_at', int(t), 'finished_at', int(t), 'error', why)
    redis.call('ZADD', runs_key(P), int(t), id)
    redis.call('ZADD', ended_key(P), int(t), id)
    try(P, nil, note_made, P, name, id, true)
    if redis.call('RPUSH', skipped_key(P), id) > KEEP_SKIPPED then
        local oldest = redis.call('LPOP', skipped_key(P))
        redis.call('DEL', run_key(P, oldest))
        redis.call('ZREM', runs_key(P), oldest)
        redis.call('ZREM', ended_key(P), oldest)
    end
    book(name, 'skipped')
    return 2
end

-- Make a run that ends at once: nobody executes it, so it goes beside whatever goes already of its job. Its envelope
-- stays with it, for a replay.
local function fail(P, t, name, job, id, due, why)
    redis.call('HSET', run_key(P, id), 'task', job.task, 'tag', job.tag, 'step', job.step, 'job', name, 'due', int(due),
        'queued_at', int(t), 'envelope', job.envelope)
    redis.call('ZADD', runs_key(P), int(t), id)
    try(P, nil, note_made, P, name, id, true)
    if not goes(P, job.last) then
        redis.call('HSET', job_key(P, name), 'last', id, 'last_due', int(due))
    end
    end_run(P, t, {id = id, job = name, tag = job.tag, step = job.step}, 'failed', {'error', why})
    book(nil, 'made')
    book(name, 'fired')
    book_time(LATE, t - due)
    return 1
end

-- Start a run in the place of the one that still goes, and of all that wait for that one: it waits for the end of that
-- one alone, which comes at once when no worker has it. Of what waits it ends no more than `left` of this call.
local function replace(P, t, name, job, id, due, left)
    local why = 'a newer run replaced it: ' .. id
    left.parked = left.parked - cancel_parked(P, t, name, why, left.parked)
    start(P, t, name, job, id, due, job.envelope, {parked = true})
    stop_run(P, t, load_run(P, job.last), why)
end

-- Returns 1 or 2, as fire does.
local function fire_run(P, t, all, name, job, id, due, at, left)
    if job.overlap == 'queue' and not goes(P, job.last) and let_next_go(P, t, name) then
        job.last = redis.call('HGET', job_key(P, name), 'last')
    end
    if job.overlap == 'allow' or not goes(P, job.last) then
        if at then
            start(P, t, name, job, id, due, job.envelope, {at = at})
        else
            make_queued(P, t, all, name, job, id, int(due))
        end
    elseif job.overlap == 'cancel_running' then
        enter_all(P, all) -- the one before may be of this call: it is taken out of where it waits
        replace(P, t, name, job, id, due, left)
    elseif job.overlap ~= 'queue' then
        return skip(P, t, name, job, id, due, 'run ' .. job.last .. ' still goes')
    elseif redis.call('LLEN', parked_key(P, name)) >= MOST_PARKED then
        return skip(P, t, name, job, id, due, MOST_PARKED .. ' runs of it wait already')
    else
        start(P, t, name, job, id, due, job.envelope, {parked = true})
    end
    book(name, 'fired')
    book_time(LATE, t - due)
    return 1
end

local function fire_one(P, t, all, left, name, due, revision, following, run)
    local job = load_job(P, name)
    if not job or job.paused or job.revision ~= revision or tonumber(due) > t or all.due[name] ~= due then
        return 0
    end
    local next_due, missed = following, ''
    if string.find(following, ' ', 1, true) then
        next_due, missed = string.match(following, '^(%S*) ?(%d*)$')
    end
    if next_due == '' then -- at once: the end of what this call makes may say anew when it is due
        redis.call('ZREM', due_key(P), name)
        all.due[name], all.moved[name] = nil, nil
    else
        all.due[name], all.moved[name] = next_due, true
    end
    if run == '' then
        return 3
    end
    if next_due == '' and job.after then
        redis.call('SADD', waiting_key(P), name)
    end
    local id, how = string.match(run, '^(%S+) ?(.*)$')
    if not all.fresh and redis.call('EXISTS', run_key(P, id)) == 1 then
        return 0
    end
    if missed ~= '' then
        book(name, 'missed', tonumber(missed))
    end
    due = tonumber(due)
    if how == '' then
        return fire_run(P, t, all, name, job, id, due, nil, left)
    elseif string.sub(how, 1, 1) == '!' then
        return fail(P, t, name, job, id, due, string.sub(how, 2))
    elseif not string.find(how, '^[+~@^]') then
        return skip(P, t, name, job, id, due, how)
    end
    local at, ttl, tag = string.match(how, '%+%d+'), string.match(how, '~(%d+)'), string.match(how, '@(%S+)')
    local trace = string.match(how, '%^([%x-]+)')
    if trace then -- as with_trace of envelope.py
        job.envelope = '{"t":{"traceparent":"' .. trace .. '"},' .. string.sub(job.envelope, 2)
    end
    job.tag = tag or job.tag
    job.expires = ttl and math.min(tonumber(ttl), tonumber(job.expires) or FAR) or job.expires
    return fire_run(P, t, all, name, job, id, due, instant(t, at or ''), left)
end

local function fire(keys, args)
    local P, t, answer, failed, left = keys[1], now(), {}, nil, {parked = MOST}
    local room, _, rate = may_fire(P, t, #args)
    local all = survey(P, args)
    local fired = 0
    for i = 1, #args, 5 do
        if fired >= room then
            answer[#answer + 1] = 4
        else
            local done, what = pcall(fire_one, P, t, all, left, unpack(args, i, i + 4))
            failed = failed or not done and what
            answer[#answer + 1] = done and what or 0
            fired = fired + (what == 1 and 1 or 0)
        end
    end
    failed = settle(P, all) or failed
    if rate then
        pass(fires_key(P), t, rate, fired)
    end
    if failed then
        error(failed, 0)
    end
    return answer
end

local function trigger(keys, args)
    local P, t = keys[1], now()
    local job = load_job(P, args[1])
    if not job then
        return 0
    end
    if redis.call('EXISTS', run_key(P, args[2])) == 1 then
        return 1 -- asked again
    end
    local why_not = refusal(P, t, 1, args[3] ~= '' and #args[3] or 0, function() return 1 end)
    if why_not then
        return why_not
    end
    start(P, t, args[1], job, args[2], t, args[3] ~= '' and args[3] or job.envelope, {beside = true})
    book(args[1], 'triggered')
    return 1
end

redis.register_function('taglane_fire', booking(fire))
redis.register_function('taglane_trigger', booking(trigger))
