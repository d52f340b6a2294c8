-- search: look through one of a tenant's indexes, the newest first, for runs that are what somebody asks for.
--
-- It visits a bounded number of runs and says how far it came: who wants more asks again from there. What can't be read
-- is passed over. An index is `runs`, by when runs were made; `ended`, `unwell` or `dead`, by when they ended; or one of
-- those that are gathered and put in order at once, since they are short, and all by when runs were made: `open`
-- (leases, queues, delayed, parked: where there is too much of these it looks through `runs` instead), `skipped`, and
-- `last`, the last runs of the one job that is asked for, behind which it goes on with `runs`.
--
-- KEYS  1 the tenant's prefix
-- ARGV  1 index  2 behind which instant, '' for from the newest on  3 and which run of that instant: '' for before all of them,
--       '<' for behind all  4 since  5 until, ms, '' for no bound  6 how many to find  7 how many to visit  8 states, with commas, '' for any
--       9 job  10 task  11 tag  12 id: '' for any, the beginning of it and a '*', or the whole
-- Reads runs, ended, unwell, dead, leases, tags, queue, delayed, waiting, parked, skipped, last, job, run;
-- writes nothing. Returns {how many it visited, 1 when there is no more, the instant and the id that it came to, found}, found
-- being id, instant, id, instant, ..
local CHUNK = 100 -- ids that are taken from an index at once
local MOST_GATHERED = 1000 -- ids that are put in order in one call
local MOST_PLACES = 256 -- tags, or jobs with runs parked, that are looked into

-- Whether a text comes before another, byte by byte, as the server sorts members of one score: `<` goes by the locale.
local function is_before(one, other)
    local length = math.min(#one, #other)
    for i = 1, length do
        local a, b = string.byte(one, i), string.byte(other, i)
        if a ~= b then
            return a < b
        end
    end
    return #one < #other
end

local function pattern(text)
    if text == '' then
        return nil
    elseif string.sub(text, -1) == '*' then
        return {text = string.sub(text, 1, -2), length = #text - 1}
    end
    return {text = text}
end

local function fits(wanted, value)
    if not wanted then
        return true
    elseif not value then
        return false
    end
    return (wanted.length and string.sub(value, 1, wanted.length) or value) == wanted.text
end

local function read_query(args)
    local q = {index = args[1], after = tonumber(args[2]), tie = args[3], since = tonumber(args[4]),
        till = tonumber(args[5]), want = tonumber(args[6]), visits = tonumber(args[7]), name = args[9],
        job = pattern(args[9]), task = pattern(args[10]), tag = pattern(args[11]), id = pattern(args[12])}
    q.fields, q.tests = {}, {}
    for field, test in pairs({job = q.job, task = q.task, tag = q.tag}) do
        q.fields[#q.fields + 1], q.tests[#q.tests + 1] = field, test
    end
    if args[8] ~= '' then
        q.fields[#q.fields + 1] = 'state'
        q.states = {}
        for state in string.gmatch(args[8], '[^,]+') do
            q.states[state] = true
        end
        q.states.replaced = q.states.running
    end
    return q
end

local function takes(P, q, id)
    if not fits(q.id, id) then
        return false
    elseif not q.fields[1] then
        return true
    end
    local f = redis.call('HMGET', run_key(P, id), unpack(q.fields))
    for n, test in ipairs(q.tests) do
        if not fits(test, f[n]) then
            return false
        end
    end
    return not q.states or q.states[f[#q.fields]]
end

-- Whether the place of a run lies behind the one from which this call goes on.
local function is_behind(q, score, id)
    if not q.after or score < q.after then
        return true
    elseif score > q.after or q.tie == '<' then
        return false
    end
    return q.tie == '' or is_before(id, q.tie)
end

-- Visit one run. True when this call has done enough.
local function visit(P, q, at, id, score)
    at.visited, at.score, at.id = at.visited + 1, score, id
    if try(P, nil, takes, P, q, id) then
        at.found[#at.found + 1] = id
        at.found[#at.found + 1] = int(score)
    end
    return #at.found >= 2 * q.want or at.visited >= q.visits
end

-- At which place of a zset, from its high end, this call goes on.
local function rank_of(q, zset)
    local rank = 0
    if q.after then
        local after = int(q.after)
        if q.tie == '<' then
            rank = redis.call('ZCOUNT', zset, after, '+inf')
        elseif q.tie ~= '' and tonumber(redis.call('ZSCORE', zset, q.tie) or '') == q.after then
            rank = redis.call('ZREVRANK', zset, q.tie) + 1
        else
            rank = redis.call('ZCOUNT', zset, '(' .. after, '+inf')
        end
    end
    return q.till and math.max(rank, redis.call('ZCOUNT', zset, '(' .. int(q.till), '+inf')) or rank
end

-- Look through a zset. True when that is done.
local function walk(P, q, at, zset)
    local rank = rank_of(q, zset)
    while true do
        local some = redis.call('ZRANGE', zset, rank, rank + CHUNK - 1, 'REV', 'WITHSCORES')
        for i = 1, #some, 2 do
            local score = tonumber(some[i + 1])
            if q.since and score < q.since then
                return true
            end
            if is_behind(q, score, some[i]) and visit(P, q, at, some[i], score) then
                return false
            end
        end
        if #some < 2 * CHUNK then
            return true
        end
        rank = rank + CHUNK
    end
end

-- Look through ids in the order of when their runs were made, as far as these are later than `down_to`. True when done.
-- A run's place in the index of all runs is a number: so they are sorted as that is, and fast.
local function walk_gathered(P, q, at, ids, down_to)
    local zset, ranks, of, seen = runs_key(P), {}, {}, {}
    local first, last = rank_of(q, zset), nil
    if q.since then
        last = redis.call('ZCOUNT', zset, int(q.since), '+inf') - 1
    end
    if down_to then
        last = math.min(last or FAR, redis.call('ZCOUNT', zset, '(' .. int(down_to), '+inf') - 1)
    end
    for _, id in ipairs(ids) do
        local rank = not seen[id] and redis.call('ZREVRANK', zset, id)
        seen[id] = true
        if rank and rank >= first and (not last or rank <= last) then
            ranks[#ranks + 1], of[rank] = rank, id
        end
    end
    table.sort(ranks)
    for _, rank in ipairs(ranks) do
        local id = of[rank]
        local made = tonumber(redis.call('ZSCORE', zset, id))
        if is_behind(q, made, id) and visit(P, q, at, id, made) then
            return false
        end
    end
    return true
end

local function append(ids, more)
    for _, id in ipairs(more) do
        ids[#ids + 1] = id
    end
    return #ids
end

local function gather_queues(P, q, tag, ids)
    local count = 0
    for _, step in ipairs(STEPS) do
        count = count + redis.call('LLEN', queue_key(P, tag, step))
        if #ids + count > MOST_GATHERED then
            return nil
        end
    end
    for _, step in ipairs(STEPS) do
        append(ids, count > 0 and redis.call('LRANGE', queue_key(P, tag, step), 0, -1) or {})
    end
    return true
end

-- The runs that have not ended and are in one of these states, and perhaps others; nil when there are too many.
local function gather_open(P, q)
    local ids, s = {}, q.states
    if s.running or s.queued then -- what was fetched and has not begun is called queued
        if redis.call('ZCARD', leases_key(P)) > MOST_GATHERED then
            return nil
        end
        append(ids, redis.call('ZRANGE', leases_key(P), 0, -1))
    end
    if not (s.queued or s.scheduled or s.retrying) then
        return ids
    end
    if redis.call('SCARD', tags_key(P)) > MOST_PLACES or redis.call('SCARD', waiting_key(P)) > MOST_PLACES then
        return nil
    end
    for _, tag in ipairs(redis.call('SRANDMEMBER', tags_key(P), MOST_PLACES)) do
        if fits(q.tag, tag) then
            if s.queued and not gather_queues(P, q, tag, ids) then
                return nil
            end
            if s.scheduled or s.retrying then
                if #ids + redis.call('ZCARD', delayed_key(P, tag)) > MOST_GATHERED then
                    return nil
                end
                append(ids, redis.call('ZRANGE', delayed_key(P, tag), 0, -1))
            end
        end
    end
    for _, name in ipairs(s.scheduled and redis.call('SRANDMEMBER', waiting_key(P), MOST_PLACES) or {}) do
        if #ids + redis.call('LLEN', parked_key(P, name)) > MOST_GATHERED then
            return nil
        end
        append(ids, redis.call('LRANGE', parked_key(P, name), 0, -1))
    end
    return ids
end

local function look_open(P, q, at)
    local ids = gather_open(P, q)
    if ids then
        return walk_gathered(P, q, at, ids)
    end
    return walk(P, q, at, runs_key(P))
end

-- The list of a job's last runs is whole down to the oldest of these, or, if it never had to drop one, to when the job
-- was made. What was made in that very ms is left to the index of all runs.
local function look_last(P, q, at)
    local ids = redis.call('LRANGE', last_key(P, q.name), -KEEP_LAST, -1)
    local down_to
    if #ids < KEEP_LAST then
        down_to = tonumber(redis.call('HGET', job_key(P, q.name), 'created') or '')
    else
        for _, id in ipairs(ids) do
            down_to = down_to or tonumber(redis.call('ZSCORE', runs_key(P), id) or '')
        end
    end
    if down_to then
        if (not q.after or q.after > down_to) and not walk_gathered(P, q, at, ids, down_to) then
            return false
        end
        if not q.after or q.after > down_to then
            q.after, q.tie = down_to, ''
        end
    end
    return walk(P, q, at, runs_key(P))
end

local function search(keys, args)
    local P, q = keys[1], read_query(args)
    local at, done = {visited = 0, found = {}}, nil
    if q.index == 'open' then
        done = look_open(P, q, at)
    elseif q.index == 'last' then
        done = look_last(P, q, at)
    elseif q.index == 'skipped' then
        done = walk_gathered(P, q, at, redis.call('LRANGE', skipped_key(P), -KEEP_SKIPPED, -1))
    else
        local zset = q.index == 'runs' and runs_key or q.index == 'ended' and ended_key
            or q.index == 'unwell' and unwell_key or dead_key
        done = walk(P, q, at, zset(P))
    end
    return {at.visited, done and 1 or 0, int(at.score or 0), at.id or '', at.found}
end

redis.register_function{function_name = 'taglane_search', callback = search, flags = {'no-writes'}}
