-- The prelude's part for the ledger: what happened of a tenant on a day, and of each of its jobs. See prelude.lua.
--
-- A call books what it does in memory and enters it when it ends, once a field: of many runs in one call hardly more than of one.
-- What is booked: made (runs, but not skipped ones), the states in which runs end; fired, triggered, replayed, skipped,
-- missed (due instants that were passed over), retried, died (attempts that were lost with their worker), and ms, for
-- how long attempts ran. Of the tenant alone how long runs waited and how late fires were: wait:<n> and late:<n> count
-- those of less than 2^n ms, and of at least half of that; ran:<n> likewise how long attempts ran. sum:wait and sum:late
-- add these up. hit:<limit> says how often a limit was in the way: of an enqueue, of a worker that got fewer runs, of due
-- instants that stayed due.
-- What ended in each minute is entered once more, for the last hours: how many runs succeeded, and how many failed, died
-- or expired.

local WAIT, LATE, RAN = {}, {}, {}
for n = 0, 43 do
    WAIT[n], LATE[n], RAN[n] = 'wait:' .. n, 'late:' .. n, 'ran:' .. n
end
WAIT.sum, LATE.sum = 'sum:wait', 'sum:late'

-- What the call has done: {[what] = n} without a job, {[job] = {[what] = n}} of each; nil between calls.
local booked, booked_of = nil, nil

local function book(job, what, times)
    local of = booked
    if job then
        of = booked_of[job]
        if not of then
            of = {}
            booked_of[job] = of
        end
    end
    of[what] = (of[what] or 0) + (times or 1)
end

-- Book a duration, ms, in a histogram.
local function book_time(buckets, ms)
    local _, n = 0, 0
    if ms >= 1 then
        _, n = math.frexp(ms)
    end
    local what = buckets[n] or buckets[43]
    booked[what] = (booked[what] or 0) + 1
    if buckets.sum and ms >= 1 and ms < 1e12 then
        booked[buckets.sum] = (booked[buckets.sum] or 0) + ms - ms % 1
    end
end

-- Book an attempt that has ended: how long it ran, ms, and how long its run had waited when it began. A time that is no
-- number is the tenant's own doing.
local function book_attempt(run, began, ran)
    local queued_at = tonumber(run.queued_at)
    if queued_at then
        book_time(WAIT, began - queued_at)
    end
    book_time(RAN, ran)
    if ran >= 1 and ran < 1e12 then
        book(run.job, 'ms', ran - ran % 1)
    end
end

-- The date of a day, YYYYMMDD in UTC, from its number since 1970 (Hinnant's civil_from_days).
local function date_of(days)
    local z = days + 719468
    local era = math.floor(z / 146097)
    local doe = z - era * 146097
    local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
    local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
    local mp = math.floor((5 * doy + 2) / 153)
    local month = mp < 10 and mp + 3 or mp - 9
    local year = yoe + era * 400 + (month <= 2 and 1 or 0)
    return string.format('%04d%02d%02d', year, month, doy - math.floor((153 * mp + 2) / 5) + 1)
end

local today, date = nil, nil -- the day that was last asked for: it is worked out once

local function date_at(t)
    local days = math.floor(t / 86400000)
    if days ~= today then
        today, date = days, date_of(days)
    end
    return date
end

-- Enter what happened of a job. A day has room for so many fields: behind that, all jobs share those of `*`.
local function enter_of(ledger, job, what, times)
    local field = job .. '|' .. what
    if redis.call('HINCRBY', ledger, field, times) ~= times then
        return
    end
    if redis.call('HINCRBY', ledger, '|fields', 1) > MOST_BOOKED and job ~= '*' then
        redis.call('HDEL', ledger, field)
        return enter_of(ledger, '*', what, times)
    end
    redis.call('EXPIRE', ledger, KEEP_JOB_LEDGER)
end

-- Enter how many runs of a minute ended well, or not.
local function enter_minute(P, t, well, unwell)
    if well + unwell == 0 then
        return -- most calls end nothing
    end
    local minute = math.floor(t / 60000)
    local key = recent_key(P, string.format('%s%02d', date_at(t), math.floor(minute / 60) % 24))
    if well > 0 and redis.call('HINCRBY', key, string.format('%02d|s', minute % 60), well) == well then
        redis.call('EXPIRE', key, KEEP_RECENT)
    end
    if unwell > 0 and redis.call('HINCRBY', key, string.format('%02d|f', minute % 60), unwell) == unwell then
        redis.call('EXPIRE', key, KEEP_RECENT)
    end
end

local function enter(P, of_tenant, of_jobs)
    for _, of in pairs(of_jobs) do
        for what, times in pairs(of) do
            of_tenant[what] = (of_tenant[what] or 0) + times
        end
    end
    local t = asked_at or now() -- that of the move
    local day = date_at(t)
    local ledger = ledger_key(P, day)
    for what, times in pairs(of_tenant) do
        if redis.call('HINCRBY', ledger, what, times) == times then
            redis.call('EXPIRE', ledger, KEEP_LEDGER)
        end
    end
    ledger = job_ledger_key(P, day)
    for job, of in pairs(of_jobs) do
        for what, times in pairs(of) do
            enter_of(ledger, job, what, times)
        end
    end
    enter_minute(P, t, of_tenant.succeeded or 0,
        (of_tenant.failed or 0) + (of_tenant.dead or 0) + (of_tenant.expired or 0))
end

-- Make a move one that may book: what it has done is entered also when it raises then. A ledger that its tenant has made
-- something else of is not kept; the tenant's runs go on.
local function booking(move)
    return function(keys, args)
        booked, booked_of, asked_at = {}, {}, nil
        local done, answer = pcall(move, keys, args)
        local of_tenant, of_jobs = booked, booked_of
        booked, booked_of = nil, nil
        if next(of_tenant) or next(of_jobs) then
            try(keys[1], nil, enter, keys[1], of_tenant, of_jobs)
        end
        if not done then
            error(answer, 0)
        end
        return answer
    end
end
