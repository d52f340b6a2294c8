-- pool_wake: let tenants have their turns in a pool. pool_turn: settle what a worker has had, and give it the tenants whose
-- turn it is. pool_hello, pool_beat, pool_leave: a worker of a pool comes, lives, goes. pool_lost: claim a dead one.
--
-- A pool's workers serve all tenants, by weighted virtual time: each tenant's clock moves by the time that its runs take,
-- divided by its weight, and the tenant whose clock is furthest behind is next. A tenant that comes (again) starts no
-- further behind than the one that was served last (floor), so nobody saves up turns. A turn is charged when it is given,
-- by what the tenant's runs took of late, and corrected by what they take: so neither a burst of workers nor a long run
-- outruns its clock. A tenant with fewer slots than are guaranteed to it goes first (owed); one that has all that it may
-- borrow leaves (full) until it has fewer. Who is kept waiting by a limit of its own is parked, until an instant or until
-- it is told to come (pool_wake). So a turn costs the same, however many tenants wait, or are parked.
--
-- What a worker says of a tenant's queue holds only if nobody has woken that tenant since its turn: `seq`.
--
-- KEYS  1 the pool's prefix
-- ARGV  pool_wake: 1 '1' when nobody has said that it has come: one that is parked stays so; then two a tenant: 1 its name
--       2 its terms, 'weight guaranteed borrow' ('-' for as much as there is), '' for the usual
--       pool_turn: 1 worker  2 life  3 how many runs it wants  4 how many of one tenant at once  5 a tenant to visit before
--       all others, '' for none; then nine a tenant: 1 its name  2 seq  3 what became of its turn: '' nothing to say,
--       'more', 'empty', 'park', 'park ms'  4 runs that it had  5 runs that its turn was charged for  6 runs that have
--       ended  7 ms that these took  8 ms to charge beyond what
--       was charged with turns  9 runs of it that the worker holds, '' for as many as before
--       pool_hello: 1 worker  2 life  3.. fields and values that describe it; pool_beat: 1 worker
--       pool_leave: 1 worker  2 life; pool_lost: 1 worker  2 its counter as seen
-- Writes pool_active, pool_owed, pool_full, pool_parked, pool_resting, pool_floor, pool_wakes, pool_seq, pool_terms,
-- pool_used, pool_cost, pool_visits, pool_workers, pool_worker, pool_pacer, pool_bell, pool_lost.
-- Returns 1 (pool_wake, pool_leave), 1 or 0 when it lives (pool_lost), the counter, 0 for a worker that is not known
-- (pool_beat), the server's time (pool_hello); 0 for a life that is over, else {server's time, ms until another tenant is
-- to be looked at (-1: not known, or another worker's business), then five a turn: tenant, seq, how many runs, 1 when its
-- slots are counted: that it has fewer is to be told at once, ms that each run was charged with} (pool_turn).
local RUN_MS = 1 -- charged for each run beyond its time: so that those that take none count as well
local VISIT_MS = 2 -- charged for a turn that had nothing: the worker was there, and might have been elsewhere
local SOON_MS = 10 -- and who had such a turn has another after that: else it could have them all, by being woken
local QUIET = ' quiet' -- behind the seq of one that is parked, and has nothing
local COME_BACK_MS = 30000 -- a parked tenant that nobody wakes is looked at again
local MOST_DUE = 64 -- parked tenants that one call lets go on

local function pool_ring(Q)
    if redis.call('LLEN', pool_bell_key(Q)) < TOKENS then
        redis.call('RPUSH', pool_bell_key(Q), '1')
    end
end

-- Enter a tenant among those that go first, or strike it out.
local function pool_owe(Q, tenant, guaranteed)
    local at = guaranteed > 0 and pool_used(Q, tenant) < guaranteed and redis.call('ZSCORE', pool_active_key(Q), tenant)
    if at then
        redis.call('ZADD', pool_owed_key(Q), at, tenant)
    else
        redis.call('ZREM', pool_owed_key(Q), tenant)
    end
end

-- Let a tenant have no more turns for now. Its clock is remembered as long as it is ahead.
local function pool_rest(Q, tenant)
    local at = redis.call('ZSCORE', pool_active_key(Q), tenant)
    redis.call('ZREM', pool_active_key(Q), tenant)
    redis.call('ZREM', pool_owed_key(Q), tenant)
    if at then
        redis.call('ZADD', pool_resting_key(Q), at, tenant)
    end
end

-- Let a tenant have turns, unless it has all that it may.
local function pool_enter(Q, tenant)
    redis.call('ZREM', pool_parked_key(Q), tenant)
    local _, guaranteed, most = pool_terms(Q, tenant)
    if pool_used(Q, tenant) >= most then
        pool_rest(Q, tenant)
        redis.call('SADD', pool_full_key(Q), tenant)
        return
    end
    redis.call('SREM', pool_full_key(Q), tenant)
    if not redis.call('ZSCORE', pool_active_key(Q), tenant) then
        local floor = tonumber(redis.call('GET', pool_floor_key(Q)) or '0')
        local at = math.max(floor, tonumber(redis.call('ZSCORE', pool_resting_key(Q), tenant) or '0'))
        redis.call('ZADD', pool_active_key(Q), string.format('%.3f', at), tenant)
        redis.call('ZREM', pool_resting_key(Q), tenant)
        pool_ring(Q)
    end
    if guaranteed > 0 then
        pool_owe(Q, tenant, guaranteed)
    end
end

local function pool_charge(Q, tenant, ms, weight)
    local by = string.format('%.3f', ms / weight)
    if redis.call('ZSCORE', pool_active_key(Q), tenant) then
        redis.call('ZINCRBY', pool_active_key(Q), by, tenant)
        if redis.call('ZSCORE', pool_owed_key(Q), tenant) then
            redis.call('ZINCRBY', pool_owed_key(Q), by, tenant)
        end
    elseif redis.call('ZSCORE', pool_resting_key(Q), tenant) then
        redis.call('ZINCRBY', pool_resting_key(Q), by, tenant)
    elseif ms > 0 then
        local floor = tonumber(redis.call('GET', pool_floor_key(Q)) or '0')
        redis.call('ZADD', pool_resting_key(Q), string.format('%.3f', floor + ms / weight), tenant)
    end
end

-- Forget tenants that rest, and whose clocks are no longer ahead: a few of them each time.
local function pool_forget(Q)
    local floor = redis.call('GET', pool_floor_key(Q)) or '0'
    for _, tenant in ipairs(redis.call('ZRANGEBYSCORE', pool_resting_key(Q), '-inf', floor, 'LIMIT', 0, 8)) do
        redis.call('ZREM', pool_resting_key(Q), tenant)
        if not redis.call('ZSCORE', pool_parked_key(Q), tenant)
            and redis.call('SISMEMBER', pool_full_key(Q), tenant) == 0 then
            redis.call('HDEL', pool_cost_key(Q), tenant)
            redis.call('HDEL', pool_terms_key(Q), tenant)
            redis.call('HDEL', pool_seq_key(Q), tenant)
        end
    end
end

-- Note how many runs of a tenant a worker holds.
local function pool_hold(Q, worker, tenant, held)
    local visits = pool_visits_key(Q, worker)
    local change = held - tonumber(redis.call('HGET', visits, tenant) or '0')
    if held > 0 then
        redis.call('HSET', visits, tenant, int(held))
    else
        redis.call('HDEL', visits, tenant)
    end
    if change ~= 0 and redis.call('HINCRBY', pool_used_key(Q), tenant, int(change)) <= 0 then
        redis.call('HDEL', pool_used_key(Q), tenant)
    end
    if change < 0 and redis.call('SISMEMBER', pool_full_key(Q), tenant) == 1 then
        pool_enter(Q, tenant)
    elseif change ~= 0 then
        local _, guaranteed = pool_terms(Q, tenant)
        if guaranteed > 0 then
            pool_owe(Q, tenant, guaranteed)
        end
    end
end

-- What a tenant's queue said at its turn: it has no more for now, or until an instant. Who was woken since has turns on;
-- but who had one in vain, a little later, and then only if somebody has woken it (`quiet` says that nobody has).
local function pool_note(Q, t, tenant, seq, verdict, in_vain)
    local known, wait, quiet = string.match(redis.call('HGET', pool_seq_key(Q), tenant) or '', '%d*'), nil, ''
    if known == seq and verdict ~= 'empty' then
        wait = math.min(tonumber(string.sub(verdict, 6)) or COME_BACK_MS, COME_BACK_MS)
    elseif in_vain then
        wait, quiet = SOON_MS, known == seq and QUIET or ''
    elseif known ~= seq then
        return
    end
    pool_rest(Q, tenant)
    redis.call('SREM', pool_full_key(Q), tenant)
    if wait then
        redis.call('ZADD', pool_parked_key(Q), int(t + wait), tenant)
        redis.call('HSET', pool_seq_key(Q), tenant, known .. quiet)
    end
end

local function pool_settle(Q, t, worker, tenant, seq, verdict, took, charged, ended, spent, ms, held)
    took, charged, ended = tonumber(took), tonumber(charged), tonumber(ended)
    local weight = pool_terms(Q, tenant)
    local in_vain = took == 0 and charged > 0
    local due = tonumber(ms) + ended * RUN_MS + (in_vain and VISIT_MS or 0)
    if due ~= 0 then
        pool_charge(Q, tenant, due, weight)
    end
    if ended > 0 then
        pool_learn(Q, tenant, tonumber(spent) / ended, ended)
    end
    if verdict ~= '' and verdict ~= 'more' then
        pool_note(Q, t, tenant, seq, verdict, in_vain)
    end
    if held ~= '' then
        pool_hold(Q, worker, tenant, tonumber(held))
    end
end

-- The tenants whose turn may be now, `most` of them, each with what a turn of it depends on: first those with a guarantee
-- that is not filled, then those whose clocks are furthest behind.
local function pool_next(Q, most, first)
    local found, seen = {}, {}
    local function add(tenant, at)
        if #found < most and not seen[tenant] then
            seen[tenant] = true
            local weight, guaranteed, may = pool_terms(Q, tenant)
            found[#found + 1] = {tenant = tenant, at = at, step = (pool_cost(Q, tenant) + RUN_MS) / weight, runs = 0,
                weight = weight, used = pool_used(Q, tenant), guaranteed = guaranteed, most = may}
        end
    end
    if first ~= '' then
        add(first, 0)
        found[1].most = math.max(found[1].most, found[1].used + 1)
        return found
    end
    local owed = redis.call('ZRANGE', pool_owed_key(Q), 0, most - 1, 'WITHSCORES')
    for i = 1, #owed, 2 do
        add(owed[i], tonumber(owed[i + 1]))
    end
    local lowest = redis.call('ZRANGE', pool_active_key(Q), 0, most - 1, 'WITHSCORES')
    if lowest[2] then
        local floor = tonumber(redis.call('GET', pool_floor_key(Q)) or '0')
        redis.call('SET', pool_floor_key(Q), string.format('%.3f', math.max(floor, tonumber(lowest[2]))))
        for i = 1, #lowest, 2 do
            add(lowest[i], tonumber(lowest[i + 1]))
        end
    end
    return found
end

-- Give a tenant its turn. Returns what the worker is told of it.
local function pool_give(Q, worker, turn)
    local tenant, runs = turn.tenant, turn.runs
    pool_charge(Q, tenant, runs * turn.step * turn.weight, turn.weight)
    local held = tonumber(redis.call('HGET', pool_visits_key(Q, worker), tenant) or '0') + runs
    pool_hold(Q, worker, tenant, held)
    if turn.used + runs >= turn.most then
        pool_rest(Q, tenant)
        redis.call('SADD', pool_full_key(Q), tenant)
    end
    local seq = string.match(redis.call('HGET', pool_seq_key(Q), tenant) or '', '%d*')
    return {tenant, seq, runs, (turn.guaranteed > 0 or turn.most < FAR) and 1 or 0,
        string.format('%.3f', turn.step * turn.weight)}
end

local function pool_life(Q, worker)
    return redis.call('HGET', pool_worker_key(Q, worker), 'life')
end

-- Whether it is this worker that comes back at an instant: of all one does, unless that one comes later.
local function pool_paces(Q, t, worker, at)
    local who, its = string.match(redis.call('GET', pool_pacer_key(Q)) or '', '^(%S+) (%d+)$')
    if who and who ~= worker and tonumber(its) <= at then
        return false
    end
    redis.call('SET', pool_pacer_key(Q), worker .. ' ' .. int(at), 'PX', int(math.max(1, at - t)))
    return true
end

local function pool_turn(keys, args)
    local Q, t, worker, life, total, quantum = keys[1], now(), args[1], args[2], tonumber(args[3]), tonumber(args[4])
    if pool_life(Q, worker) ~= life then
        return 0
    end
    local visitor = worker .. '.' .. life
    for i = 6, #args, 9 do
        pool_settle(Q, t, visitor, unpack(args, i, i + 8))
    end
    pool_forget(Q)
    local answer = {t, -1}
    for _, tenant in ipairs(redis.call('ZRANGEBYSCORE', pool_parked_key(Q), '-inf', int(t), 'LIMIT', 0, MOST_DUE)) do
        if string.find(redis.call('HGET', pool_seq_key(Q), tenant) or '', QUIET, 1, true) then
            redis.call('ZREM', pool_parked_key(Q), tenant)
        else
            pool_enter(Q, tenant)
        end
    end
    if total > 0 then
        local turns = pool_next(Q, math.max(1, math.ceil(total / quantum)), args[5])
        pool_share(turns, total)
        for _, turn in ipairs(turns) do
            if turn.runs > 0 then
                for _, value in ipairs(pool_give(Q, visitor, turn)) do
                    answer[#answer + 1] = value
                end
            end
        end
        if #answer > 2 and redis.call('ZCARD', pool_active_key(Q)) > 0 then
            pool_ring(Q)
        end
    end
    local parked = redis.call('ZRANGE', pool_parked_key(Q), 0, 0, 'WITHSCORES')
    if total > 0 and #answer == 2 and parked[2] and pool_paces(Q, t, worker, tonumber(parked[2])) then
        answer[2] = math.max(1, tonumber(parked[2]) - t)
    end
    return answer
end

local function pool_wake(keys, args)
    local Q, t = keys[1], now()
    for i = 2, #args, 2 do
        local tenant, terms = args[i], args[i + 1]
        redis.call('HSET', pool_seq_key(Q), tenant, int(redis.call('INCR', pool_wakes_key(Q))))
        if terms == '' then
            redis.call('HDEL', pool_terms_key(Q), tenant)
        else
            redis.call('HSET', pool_terms_key(Q), tenant, terms)
        end
        local at = tonumber(redis.call('ZSCORE', pool_parked_key(Q), tenant) or '')
        if not at or (args[1] ~= '1' and at > t + SOON_MS) then
            pool_enter(Q, tenant)
        end
    end
    return 1
end

local function pool_hello(keys, args)
    local Q, worker, t = keys[1], args[1], now()
    redis.call('HSET', pool_workers_key(Q), worker, '0')
    redis.call('HSET', pool_worker_key(Q, worker), 'life', args[2], 'seen', int(t), unpack(args, 3))
    return t
end

local function pool_beat(keys, args)
    local Q, worker = keys[1], args[1]
    if redis.call('HEXISTS', pool_workers_key(Q), worker) == 0 then
        return 0
    end
    redis.call('HSET', pool_worker_key(Q, worker), 'seen', int(now()))
    return redis.call('HINCRBY', pool_workers_key(Q), worker, 1)
end

-- Nobody holds anything under this life any more.
local function pool_leave(keys, args)
    local Q, worker, visitor = keys[1], args[1], args[1] .. '.' .. args[2]
    for _, tenant in ipairs(redis.call('HKEYS', pool_visits_key(Q, visitor))) do
        pool_hold(Q, visitor, tenant, 0)
    end
    redis.call('SREM', pool_lost_key(Q), visitor)
    if pool_life(Q, worker) == args[2] then
        redis.call('DEL', pool_worker_key(Q, worker))
        redis.call('HDEL', pool_workers_key(Q), worker)
    end
    return 1
end

local function pool_lost(keys, args)
    local Q, worker = keys[1], args[1]
    if redis.call('HGET', pool_workers_key(Q), worker) ~= args[2] then
        return 0
    end
    redis.call('SADD', pool_lost_key(Q), worker .. '.' .. (pool_life(Q, worker) or ''))
    redis.call('HDEL', pool_workers_key(Q), worker)
    redis.call('DEL', pool_worker_key(Q, worker))
    pool_ring(Q)
    return 1
end

redis.register_function{function_name = 'taglane_pool_wake', callback = pool_wake, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_pool_turn', callback = pool_turn, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_pool_hello', callback = pool_hello, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_pool_beat', callback = pool_beat, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_pool_leave', callback = pool_leave, flags = {'allow-oom'}}
redis.register_function{function_name = 'taglane_pool_lost', callback = pool_lost, flags = {'allow-oom'}}
